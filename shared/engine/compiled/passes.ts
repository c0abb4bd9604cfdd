/** Passes over a graph: each gives a graph that computes the same. */
import { constantKey } from './builder.js';
import { describeOutput, parseRef, sameOutput, valueOf } from './graph.js';
import type { Attribute, Graph, Node, Value } from './graph.js';
import { operation } from './operations/index.js';

/** @param kept Nodes that are asked for by name, which stay. */
export type Pass = (graph: Graph, kept: ReadonlySet<string>) => Graph;

/** The passes in the order that they are useful in. */
export const PASSES: readonly Pass[] = [withoutIdle, withoutRepeats, withFusedBias, withoutUnused];

/** The graph after the given passes. */
export function passed(graph: Graph, kept: ReadonlySet<string>, passes: readonly Pass[] = PASSES): Graph {
  return passes.reduce((before, pass) => pass(before, kept), graph);
}

/** Drops nodes on which no kept one depends. */
export function withoutUnused(graph: Graph, kept: ReadonlySet<string>): Graph {
  const used = new Set(kept);
  for (const node of [...graph.values()].reverse()) {
    if (!used.has(node.name)) continue;
    for (const ref of node.inputs) used.add(parseRef(ref).node);
    for (const control of node.controlInputs) used.add(control);
  }
  return new Map([...graph].filter(([name]) => used.has(name)));
}

/** Computes once what two nodes would compute from the same inputs. */
export function withoutRepeats(graph: Graph, kept: ReadonlySet<string>): Graph {
  const first = new Map<string, string>();
  return replacing(graph, kept, (node) => {
    if (operation(node.op).stateful === true || node.controlInputs.length > 0) return undefined;
    const attributes = Object.entries(node.attributes).map(
      ([key, attribute]) => `${key}=${attributeKey(attribute)}`,
    );
    const key = [node.op, ...node.inputs, ...attributes].join('\0');
    const known = first.get(key);
    if (known === undefined) first.set(key, node.name);
    return known === undefined ? undefined : node.outputs.map((_, index) => `${known}:${index}`);
  });
}

/** Leaves out nodes whose result is one of their inputs: x * 1, x + 0, and moves that move nothing. */
export function withoutIdle(graph: Graph, kept: ReadonlySet<string>): Graph {
  return replacing(graph, kept, (node, inputs) => {
    // What waits for another node is there for the wait.
    if (node.controlInputs.length > 0) return undefined;
    const [output] = node.outputs;
    const same = IDLE[node.op]?.(inputs);
    // What broadcasts isn't idle.
    return same !== undefined && output !== undefined && sameOutput(same, output) ? [same.ref] : undefined;
  });
}

type Idle = (inputs: readonly Value[]) => Value | undefined;

const IDLE: Readonly<Record<string, Idle>> = {
  AddV2: ([a, b]) => (isAll(b, 0) ? a : isAll(a, 0) ? b : undefined),
  Identity: ([x]) => x,
  Mul: ([a, b]) => (isAll(b, 1) ? a : isAll(a, 1) ? b : undefined),
  RealDiv: ([a, b]) => (isAll(b, 1) ? a : undefined),
  Reshape: ([x]) => x,
  Sub: ([a, b]) => (isAll(b, 0) ? a : undefined),
  Transpose: ([x, order]) =>
    order?.constant?.values.every((axis, i) => axis === i) === true ? x : undefined,
};

function isAll(value: Value | undefined, wanted: number): boolean {
  return value?.constant?.values.every((each) => each === wanted) ?? false;
}

/**
 * Adds a bias inside of the convolution or the matrix product before it, where nothing else takes that one's result.
 * TensorFlow's own optimiser does the same, at several seconds for a training step.
 */
export function withFusedBias(graph: Graph, kept: ReadonlySet<string>): Graph {
  const uses = useCounts(graph);
  return replacing(graph, kept, (node, inputs) => {
    if (node.op !== 'AddV2') return undefined;
    const [sum, bias] = [inputs[0], inputs[1]];
    if (sum === undefined || bias?.shape.length !== 1 || bias.shape[0] !== sum.shape.at(-1)) return undefined;
    const product = graph.get(parseRef(sum.ref).node);
    const fused = product && FUSED[product.op];
    if (product === undefined || fused === undefined || uses.get(sum.ref) !== 1) return undefined;
    const attributes = {
      ...product.attributes,
      fused_ops: { texts: ['BiasAdd'] },
      num_args: { int: 1 },
      ...(fused === '_FusedConv2D' && { TArgs: { dtypes: [bias.dtype] } }),
    };
    return { ...node, op: fused, inputs: [...product.inputs, bias.ref], attributes };
  });
}

const FUSED: Readonly<Record<string, string>> = { Conv2D: '_FusedConv2D', MatMul: '_FusedMatMul' };

function useCounts(graph: Graph): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { inputs } of graph.values()) {
    for (const ref of inputs) counts.set(ref, (counts.get(ref) ?? 0) + 1);
  }
  return counts;
}

/**
 * A walk in order; `replacement` gives a node's successor of the same outputs, or the outputs that stand for a node's,
 * which is then left out.
 */
function replacing(
  graph: Graph,
  kept: ReadonlySet<string>,
  replacement: (node: Node, inputs: readonly Value[]) => readonly string[] | Node | undefined,
): Graph {
  const result = new Map<string, Node>();
  const renamed = new Map<string, string>();
  for (const node of graph.values()) {
    const inputs = node.inputs.map((ref) => renamed.get(ref) ?? ref);
    const controlInputs = node.controlInputs.map(
      (name) => parseRef(renamed.get(`${name}:0`) ?? `${name}:0`).node,
    );
    const current = { ...node, inputs, controlInputs };
    const instead = kept.has(node.name)
      ? undefined
      : replacement(
          current,
          inputs.map((ref) => valueOf(result, ref)),
        );
    if (instead === undefined) result.set(node.name, current);
    else if ('op' in instead) result.set(node.name, instead);
    else for (const [index, ref] of instead.entries()) renamed.set(`${node.name}:${index}`, ref);
  }
  return result;
}

/** Equal for equal attributes. */
export function attributeKey(attribute: Attribute): string {
  return 'constant' in attribute
    ? `${describeOutput(attribute.constant)}${constantKey(attribute.constant)}`
    : JSON.stringify(attribute);
}
