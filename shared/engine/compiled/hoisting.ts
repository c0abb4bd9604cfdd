/** A pass: what follows from fixed variables alone is read, and left to be computed once for all runs. */
import { createHash } from 'node:crypto';

import { createBuilder } from './builder.js';
import { readVariable, variableHandle } from './function-graph.js';
import { parseRef, sizeOf, valueOf } from './graph.js';
import type { Graph, Node, Value } from './graph.js';
import { operation } from './operations/index.js';
import { attributeKey, withoutUnused } from './passes.js';

/** A value to be kept in a variable; one name stands for one computation, whichever function it is of. */
export interface Derivation {
  readonly name: string;
  /** Of a node of `source`. */
  readonly value: Value;
}

export interface Hoisted {
  /** The function's graph, which reads the derived variables. */
  readonly graph: Graph;
  /** The nodes that were taken out of it. */
  readonly source: Graph;
  readonly derivations: readonly Derivation[];
}

/** What is the same in every run. */
interface Invariant {
  /** Equal for equal computations. */
  readonly key: string;
  /** The fixed variables that it follows from, with their numbers of elements; none where it is constant. */
  readonly variables: ReadonlyMap<string, number>;
}

/**
 * What is derived may be so many times as large as the variables behind it, or have so many elements. What repeats
 * variables, often for a batch's size, is computed faster than it is read, and would be kept for every size.
 */
const [LARGEST_GROWTH, FEW_ELEMENTS] = [3, 2 ** 16];

/**
 * Takes out of a graph what follows from fixed variables alone.
 *
 * @param kept Nodes that are asked for by name, which stay.
 * @param invariant What `invariants` found in the graph.
 * @param prefix What stands before the names of the nodes that read.
 */
export function hoisted(
  graph: Graph,
  kept: ReadonlySet<string>,
  invariant: Invariants,
  prefix: string,
): Hoisted {
  const reads = createBuilder(prefix);
  const derivations = new Map<string, Derivation>();
  const readFrom = new Map<string, string>();

  function read(ref: string): string {
    const { node, index } = parseRef(ref);
    const found = invariant.get(node);
    if (found === undefined || found.variables.size === 0 || isRead(graph.get(node))) return ref;
    const name = `derived/${found.key}.${index}`;
    const value = valueOf(graph, ref);
    const { shape, dtype } = value;
    const known =
      readFrom.get(name) ?? readVariable(reads, variableHandle(reads, { name, shape }, dtype), dtype).ref;
    readFrom.set(name, known);
    derivations.set(name, { name, value });
    return known;
  }

  const left = new Map<string, Node>();
  for (const [name, node] of graph) {
    left.set(name, invariant.has(name) ? node : { ...node, inputs: node.inputs.map(read) });
  }
  const sources = Array.from(derivations.values(), ({ value }) => parseRef(value.ref).node);
  return {
    graph: withoutUnused(new Map([...reads.graph, ...left]), kept),
    source: withoutUnused(graph, new Set(sources)),
    derivations: [...derivations.values()],
  };
}

export type Invariants = ReadonlyMap<string, Invariant>;

/** The nodes that give the same in every run, by name. @param fixed The names of variables that no function updates. */
export function invariants(graph: Graph, kept: ReadonlySet<string>, fixed: ReadonlySet<string>): Invariants {
  const found = new Map<string, Invariant>();
  // Constants alone are not worth the search.
  if (fixed.size === 0) return found;
  for (const [name, node] of graph) {
    if (kept.has(name) || node.controlInputs.length > 0) continue;
    const invariant = isRead(node) ? variableRead(graph, node, fixed) : computed(node, found);
    if (invariant !== undefined) found.set(name, invariant);
  }
  return found;
}

function isRead(node: Node | undefined): boolean {
  return node?.op === 'ReadVariableOp';
}

function variableRead(graph: Graph, node: Node, fixed: ReadonlySet<string>): Invariant | undefined {
  const handle = graph.get(parseRef(node.inputs[0] ?? '').node)?.attributes['shared_name'];
  const name = handle !== undefined && 'text' in handle ? handle.text : '';
  return fixed.has(name)
    ? { key: hashed(['variable', name]), variables: new Map([[name, elements(node)]]) }
    : undefined;
}

function computed(node: Node, found: Invariants): Invariant | undefined {
  if (operation(node.op).stateful === true) return undefined;
  const inputs = node.inputs.map((ref) => found.get(parseRef(ref).node));
  if (!inputs.every((input) => input !== undefined)) return undefined;
  const variables = new Map(inputs.flatMap((input) => [...input.variables]));
  const behind = [...variables.values()].reduce((sum, size) => sum + size, 0);
  const most = variables.size === 0 ? Infinity : Math.max(LARGEST_GROWTH * behind, FEW_ELEMENTS);
  if (elements(node) > most) return undefined;
  const attributes = Object.entries(node.attributes).map(([name, value]) => `${name}=${attributeKey(value)}`);
  const keys = node.inputs.map((ref, i) => `${inputs[i]?.key ?? ''}:${parseRef(ref).index}`);
  return { key: hashed([node.op, ...attributes, ...keys]), variables };
}

function elements({ outputs }: Node): number {
  return outputs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

function hashed(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
}
