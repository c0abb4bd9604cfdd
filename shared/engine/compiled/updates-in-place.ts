/** A pass: updates by kernels that write into the variables, in the place of new values that are then stored. */
import { COMPOSITES } from '../composites/index.js';
import type { InPlaceUpdate } from '../composites/index.js';
import { createBuilder } from './builder.js';
import { parseRef } from './graph.js';
import type { Graph, Node } from './graph.js';
import { nameOf, readBy } from './in-place.js';

/** How an output is stored, and by which nodes. */
interface Store {
  readonly variable: string;
  readonly assign: Node;
  /** Where storing depends on a condition. */
  readonly choice: Node | undefined;
}

/**
 * Lowers each composite that can write in place, where each of its outputs is stored in the variable that it is the new value
 * of, and is used for nothing else. The kernels run when the other updates would be stored, and under the same condition.
 */
export function withUpdatesInPlace(graph: Graph): Graph {
  const uses = usesIn(graph);
  const instead = new Map<string, readonly Node[]>();
  // What stands in a list of awaited nodes for a node that is left out.
  const awaitedFor = new Map<string, readonly string[]>();
  for (const node of graph.values()) {
    const updates = COMPOSITES.get(node.op)?.inPlace?.(node.inputs, node.attributes) ?? [];
    const stores = updates.map((update) => storesOf(graph, uses, node, update));
    if (updates.length === 0 || stores.includes(undefined)) continue;
    instead.set(node.name, []);
    awaitedFor.set(node.name, [...new Set(updates.flatMap(({ read }) => read.map(nodeOf)))]);
    for (const [i, update] of updates.entries()) {
      const [first, ...others] = stores[i] as [Store, ...Store[]];
      const made = written(graph, `${node.name}/${i}`, update, first);
      instead.set(first.assign.name, made);
      awaitedFor.set(
        first.assign.name,
        made.slice(-1).map(({ name }) => name),
      );
      for (const { assign } of others) instead.set(assign.name, []);
      for (const { assign } of others) awaitedFor.set(assign.name, []);
      for (const { choice } of [first, ...others]) if (choice !== undefined) instead.set(choice.name, []);
    }
  }
  return new Map(
    [...graph.values()].flatMap((node) => {
      const controlInputs = node.controlInputs.flatMap((name) => awaitedFor.get(name) ?? [name]);
      const nodes = instead.get(node.name) ?? [{ ...node, controlInputs: [...new Set(controlInputs)] }];
      return nodes.map((each) => [each.name, each] as const);
    }),
  );
}

/** The node that updates, after what it needs. */
function written(graph: Graph, prefix: string, update: InPlaceUpdate, { assign, choice }: Store): Node[] {
  const { op, attributes, read, written: variables } = update;
  const builder = createBuilder(`${prefix}/`);
  const condition = choice && graph.get(nodeOf(choice.inputs[1] ?? ''));
  const commit = condition?.inputs[0] ?? builder.float(1).ref;
  const inputs = [commit, ...read, ...variables.map(({ input }) => input)];
  const { controlInputs } = condition ?? assign;
  return [...builder.graph.values(), { name: prefix, op, inputs, controlInputs, attributes, outputs: [] }];
}

/** How each of an update's results is stored; undefined where one of them is not, or elsewhere, or is used otherwise. */
function storesOf(
  graph: Graph,
  uses: Uses,
  { name }: Node,
  { written }: InPlaceUpdate,
): readonly Store[] | undefined {
  const stores = written.map(({ input, output }) => {
    const store = storeOf(graph, uses, `${name}:${output}`);
    return store?.variable === readBy(graph, nodeOf(input)) ? store : undefined;
  });
  return stores.every((store) => store !== undefined) ? stores : undefined;
}

function storeOf(graph: Graph, uses: Uses, ref: string): Store | undefined {
  const user = onlyUse(uses, ref);
  const choice = user?.op === 'Switch' && !uses.has(`${user.name}:0`) ? user : undefined;
  const stored = choice === undefined ? ref : `${choice.name}:1`;
  const assign = onlyUse(uses, stored);
  if (assign?.op !== 'AssignVariableOp' || assign.inputs[1] !== stored) return undefined;
  return { variable: nameOf(graph, assign.inputs[0]), assign, choice };
}

type Uses = ReadonlyMap<string, readonly Node[]>;

/** The nodes that take each output. */
function usesIn(graph: Graph): Uses {
  const uses = new Map<string, Node[]>();
  for (const node of graph.values())
    for (const ref of node.inputs) uses.set(ref, [...(uses.get(ref) ?? []), node]);
  return uses;
}

function onlyUse(uses: Uses, ref: string): Node | undefined {
  const [only, ...others] = uses.get(ref) ?? [];
  return others.length === 0 ? only : undefined;
}

const nodeOf = (ref: string): string => parseRef(ref).node;
