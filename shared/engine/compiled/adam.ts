/** AdamW in place: a node for each parameter, which writes into the variables as they were read. */
import type { AdamUpdate, AdamUpdates } from '../module.js';
import type { Builder } from './builder.js';
import type { Value } from './graph.js';
import type { Tracer } from './tracing.js';

/** When updates may be stored, and whether. */
export interface Condition {
  /** The node after which they may be. */
  readonly barrier: string;
  /** A scalar: 0 withholds them. */
  readonly commit: Value | undefined;
}

/** The updates with the graph's values in the place of names and tensors. */
export interface TracedAdam {
  readonly settings: Pick<AdamUpdates, 'beta1' | 'beta2' | 'epsilon'>;
  readonly rates: Value;
  /** Gradient, parameter, m, v, ema. */
  readonly nodes: readonly (readonly Value[])[];
  /** What must have been computed before anything is written. */
  readonly awaited: readonly Value[];
}

/** The names of the variables that an update writes into. */
export function writtenBy({ parameter, m, v, ema }: AdamUpdate): string[] {
  return [parameter, m, v, ...ema];
}

export function tracedAdam(
  { rates, of, ...settings }: AdamUpdates,
  read: Readonly<Record<string, Value>>,
  toValue: Tracer['toValue'],
): TracedAdam {
  const nodes = of.map((update) => [
    toValue(update.gradient),
    ...writtenBy(update).map((name) => read[name] as Value),
  ]);
  const gradients = nodes.flatMap(([gradient]) => (gradient === undefined ? [] : [gradient]));
  const traced = { settings, rates: toValue(rates), nodes };
  return { ...traced, awaited: [traced.rates, ...gradients] };
}

/** The names of the nodes. They run after the barrier, when nobody reads the variables any more. */
export function adamInPlace(
  builder: Builder,
  { settings, rates, nodes }: TracedAdam,
  { barrier, commit = builder.float(1) }: Condition,
): string[] {
  const { beta1, beta2, epsilon } = settings;
  const attributes = { beta1: { float: beta1 }, beta2: { float: beta2 }, epsilon: { float: epsilon } };
  return nodes.map((values, i) => {
    const name = `adam/${i}`;
    builder.add('NativeAdam', [commit, rates, ...values], attributes, { name, controlInputs: [barrier] });
    return `${builder.prefix}${name}`;
  });
}
