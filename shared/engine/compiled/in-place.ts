/** Checks that no other node can see what `NativeAdam` writes in place, into variables as they were read. */
import { parseRef } from './graph.js';
import type { Graph, Node } from './graph.js';
import { operation } from './operations/index.js';

/** How a function treats variables, by their names. */
export interface VariableUse {
  /** Those that it writes in place. */
  readonly written: ReadonlySet<string>;
  /** Those that get memory from elsewhere, or give theirs away: two variables may then lie in one place. */
  readonly stored: ReadonlySet<string>;
}

/** The inputs of `NativeAdam` before the variables: whether to commit, rates, the gradient. */
const READ_ONLY = 3;

/**
 * Checks that each variable which is written was read for that, is written once, and that all who may see its memory are
 * done before.
 *
 * @param kept Nodes whose results are taken out of the graph.
 * @throws Error naming the variable, and who could see it.
 */
export function checkInPlace(graph: Graph, kept: ReadonlySet<string>): VariableUse {
  const updates = [...graph.values()].filter(({ op }) => op === 'NativeAdam');
  const writers = new Map<string, Node>();
  for (const node of updates) {
    for (const ref of node.inputs.slice(READ_ONLY)) {
      const variable = readBy(graph, parseRef(ref).node);
      if (variable === undefined)
        throw new Error(
          `node ${node.name} writes into ${ref}; wanted a variable that was read and not changed`,
        );
      if (writers.has(variable)) throw new Error(`variable ${variable} is written in place twice`);
      writers.set(variable, node);
    }
  }
  const memory = memoryOf(graph);
  const runsBefore = orderOf(graph);
  const stored = new Set<string>();
  for (const node of graph.values()) {
    const seen = node.inputs.map((ref) => memory.get(parseRef(ref).node) ?? []);
    if (node.op === 'AssignVariableOp') {
      stored.add(nameOf(graph, node.inputs[0]));
      for (const variable of seen[1] ?? []) stored.add(variable);
    }
    const shown = kept.has(node.name) ? (memory.get(node.name) ?? []) : [];
    const late = (node.op === 'NativeAdam' ? seen.slice(0, READ_ONLY) : seen)
      .flat()
      .filter((variable) => !runsBefore(node, writers.get(variable)));
    for (const variable of new Set([...shown, ...late])) {
      if (!writers.has(variable)) continue;
      const who =
        node.op === 'NativeAdam'
          ? `the gradient of ${node.name}`
          : shown.length > 0
            ? `the result ${node.name}`
            : node.name;
      throw new Error(`variable ${variable} is written in place, and also used by ${who}`);
    }
  }
  const use = { written: new Set(writers.keys()), stored };
  checkStored(use);
  return use;
}

/** What has been learned of a module's functions so far; `add` @throws Error where two of them don't go together. */
export function variableUses(): { add(use: VariableUse): void } {
  const written = new Set<string>();
  const stored = new Set<string>();
  return {
    add: (use) => {
      checkStored({
        written: new Set([...written, ...use.written]),
        stored: new Set([...stored, ...use.stored]),
      });
      for (const name of use.written) written.add(name);
      for (const name of use.stored) stored.add(name);
    },
  };
}

function checkStored({ written, stored }: VariableUse): void {
  const both = [...written].find((name) => stored.has(name));
  if (both === undefined) return;
  throw new Error(`variable ${both} is written in place, and also stored or given to another variable`);
}

/** The variables in whose memory each node's results may lie. */
function memoryOf(graph: Graph): ReadonlyMap<string, readonly string[]> {
  const memory = new Map<string, readonly string[]>();
  for (const { name, op, inputs } of graph.values()) {
    const read = readBy(graph, name);
    if (read !== undefined) memory.set(name, [read]);
    else if (operation(op).sharesMemory === true)
      memory.set(name, [...new Set(inputs.flatMap((ref) => memory.get(parseRef(ref).node) ?? []))]);
  }
  return memory;
}

/** Whether a node has run whenever another begins. */
function orderOf(graph: Graph): (node: Node, other: Node | undefined) => boolean {
  const known = new Map<string, ReadonlySet<string>>();

  /** All that has run before a node, and the node itself. */
  function upTo(name: string): ReadonlySet<string> {
    const found = known.get(name);
    if (found !== undefined) return found;
    const reached = new Set([name]);
    // A set takes in what is added while it is walked.
    for (const each of reached) for (const needed of neededBy(graph.get(each))) reached.add(needed);
    known.set(name, reached);
    return reached;
  }

  return (node, other) => neededBy(other).some((needed) => upTo(needed).has(node.name));
}

function neededBy(node: Node | undefined): string[] {
  if (node === undefined) return [];
  // Control first: an update waits for a node that has waited for nearly all.
  return [...node.controlInputs, ...node.inputs.map((ref) => parseRef(ref).node)];
}

/** The variable that a node reads; undefined where it reads none. */
export function readBy(graph: Graph, name: string): string | undefined {
  const node = graph.get(name);
  return node?.op === 'ReadVariableOp' ? nameOf(graph, node.inputs[0]) : undefined;
}

/** The name of the variable behind a handle. */
export function nameOf(graph: Graph, handle = ''): string {
  const attribute = graph.get(parseRef(handle).node)?.attributes['shared_name'];
  return attribute !== undefined && 'text' in attribute ? attribute.text : handle;
}
