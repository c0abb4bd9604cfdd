/** A pass: each composite becomes operations that the target runs, by its row of the table. */
import { COMPOSITES } from '../composites/index.js';
import type { Composite, StablehloTarget } from '../composites/composite.js';
import { createBuilder } from './builder.js';
import type { Builder } from './builder.js';
import { describeOutput, parseRef, valueOf } from './graph.js';
import type { Attributes, Graph, Node, Value } from './graph.js';
import type { NativeKernels } from './native-kernels.js';
import { trace } from './tracing.js';

/** What runs the graph: TensorFlow with kernels of the engine's own, TensorFlow alone, or what is compiled from StableHLO. */
export type Target = NativeKernels | StablehloTarget | 'tensorflow';

/** For StableHLO the composites that have a rule for it are left as they are. */
export function lowered(graph: Graph, target: Target): Graph {
  const result = new Map<string, Node>();
  const renamed = new Map<string, string>();
  // The nodes that give a composite's outputs.
  const givers = new Map<string, readonly string[]>();
  for (const node of graph.values()) {
    const current = {
      ...node,
      inputs: node.inputs.map((ref) => renamed.get(ref) ?? ref),
      controlInputs: node.controlInputs.flatMap((name) => givers.get(name) ?? [name]),
    };
    const composite = COMPOSITES.get(node.op);
    const inputs = current.inputs.map((ref) => valueOf(result, ref));
    if (composite === undefined || hasRule(composite, inputs, node.attributes, target)) {
      result.set(node.name, current);
      continue;
    }
    const builder = createBuilder(`${node.name}/`);
    const outputs = written(builder, composite, inputs, node.attributes, target);
    checkOutputs(node, outputs);
    for (const made of builder.graph.values()) result.set(made.name, made);
    for (const [i, { ref }] of outputs.entries()) renamed.set(`${node.name}:${i}`, ref);
    givers.set(node.name, [...new Set(outputs.map(({ ref }) => parseRef(ref).node))]);
  }
  return result;
}

const isStablehlo = (target: Target): target is StablehloTarget =>
  typeof target !== 'string' && 'attentionCalls' in target;

function hasRule(
  { stablehlo, fitsStablehlo }: Composite,
  inputs: readonly Value[],
  attributes: Attributes,
  target: Target,
): boolean {
  return (
    isStablehlo(target) && stablehlo !== undefined && (fitsStablehlo?.(inputs, attributes, target) ?? true)
  );
}

function written(
  builder: Builder,
  composite: Composite,
  inputs: readonly Value[],
  attributes: Attributes,
  target: Target,
): readonly Value[] {
  return (
    (typeof target === 'string' || isStablehlo(target)
      ? undefined
      : composite.native?.(builder, inputs, attributes, target)) ??
    composite.tensorflow?.(builder, inputs) ??
    trace(builder, ({ toTensor, toValue }) => composite.plain(inputs.map(toTensor), attributes).map(toValue))
  );
}

function checkOutputs({ name, op, outputs }: Node, written: readonly Value[]): void {
  const [wanted, got] = [outputs, written].map((values) => values.map(describeOutput).join(', '));
  if (wanted !== got)
    throw new Error(`node ${name}, ${op}: wanted outputs (${wanted ?? ''}); got (${got ?? ''})`);
}
