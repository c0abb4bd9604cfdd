/** AdamW as PyTorch computes it, with EMA weights of the parameters: one operation over all of them. */
import { tf } from '../tf.js';

import { floatAttribute, input, intAttribute, want, wantDtype } from '../compiled/operations/operation.js';
import { called, composite } from './composite.js';
import type { Composite, InPlaceUpdate } from './composite.js';

export interface AdamWConfig {
  readonly beta1: number;
  readonly beta2: number;
  /** Added to the denominator after its bias correction. */
  readonly epsilon: number;
}

/** What there is of one parameter; all of its shape. */
export interface AdamWState {
  readonly parameter: tf.Tensor;
  /** Running mean of the gradient. */
  readonly m: tf.Tensor;
  /** Running mean of its square. */
  readonly v: tf.Tensor;
  /** EMA weights, one for each rate. */
  readonly ema: readonly tf.Tensor[];
}

/**
 * The next state of each parameter, in order:
 * m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p = shrink p - step m / (sqrt(v) rootScale + epsilon), and
 * each of the EMA weights moves towards the new p.
 *
 * @param rates [3 + EMA rates]: shrink, step, rootScale, and how far each of the EMA weights moves.
 * Source: arXiv 1711.05101, algorithm 2; PyTorch's torch.optim.AdamW.
 */
export function adamW(
  { beta1, beta2, epsilon }: AdamWConfig,
  rates: tf.Tensor,
  parameters: readonly (AdamWState & { readonly gradient: tf.Tensor })[],
): AdamWState[] {
  const emas = parameters[0]?.ema.length ?? 0;
  const results = called(
    ADAM_W,
    [
      rates,
      ...parameters.flatMap(({ gradient, parameter, m, v, ema }) => [gradient, parameter, m, v, ...ema]),
    ],
    { beta1: { float: beta1 }, beta2: { float: beta2 }, epsilon: { float: epsilon }, emas: { int: emas } },
  );
  return inParts(results, 3 + emas).map((state) => {
    const [parameter, m, v, ...ema] = state as [tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
    return { parameter, m, v, ema };
  });
}

/** [rates, then of each parameter: gradient, parameter, m, v, EMA weights] -> [of each: parameter, m, v, EMA weights]. */
export const ADAM_W: Composite = composite({
  op: 'AdamW',
  infer: (inputs, attributes) => {
    const [rates, emas] = [input(inputs, 0), intAttribute(attributes, 'emas')];
    for (const value of inputs) wantDtype(value, 'float32');
    want(rates.shape.join() === String(3 + emas), `${3 + emas} rates`, rates);
    want(
      (inputs.length - 1) % (4 + emas) === 0,
      `${4 + emas} inputs of each parameter`,
      String(inputs.length - 1),
    );
    return inParts(inputs.slice(1), 4 + emas).flatMap(([gradient, ...state]) => {
      const shape = gradient?.shape ?? [];
      for (const value of state)
        want(value.shape.join() === shape.join(), "a state of the gradient's shape", value);
      return state.map(() => ({ dtype: 'float32', shape }) as const);
    });
  },
  plain: ([rates, ...inputs], attributes) => {
    const [shrink, step, rootScale, ...moves] = tf.unstack(rates as tf.Tensor) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      ...tf.Tensor[],
    ];
    const [beta1, beta2, epsilon] = ['beta1', 'beta2', 'epsilon'].map((name) =>
      floatAttribute(attributes, name),
    ) as [number, number, number];
    // Once for all tensors: op by op, a scalar costs as much as a small tensor.
    const [share1, keep2, share2, floor] = [1 - beta1, beta2, 1 - beta2, epsilon].map((value) =>
      tf.scalar(value),
    ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    return inParts(inputs, 4 + moves.length).flatMap((each) => {
      const [gradient, parameter, m, v, ...ema] = each as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        ...tf.Tensor[],
      ];
      const nextM = tf.add(m, tf.mul(share1, tf.sub(gradient, m)));
      const nextV = tf.add(tf.mul(keep2, v), tf.mul(share2, tf.square(gradient)));
      const denominator = tf.add(tf.mul(tf.sqrt(nextV), rootScale), floor);
      const change = tf.mul(tf.div(nextM, denominator), step);
      const next = tf.sub(tf.mul(parameter, shrink), change);
      const towards = (from: tf.Tensor, i: number): tf.Tensor =>
        tf.add(from, tf.mul(moves[i] as tf.Tensor, tf.sub(next, from)));
      return [next, nextM, nextV, ...ema.map(towards)];
    });
  },
  inPlace: ([rates = '', ...inputs], attributes): InPlaceUpdate[] => {
    const states = 3 + intAttribute(attributes, 'emas');
    // The kernel counts its inputs by itself.
    const settings = Object.fromEntries(Object.entries(attributes).filter(([name]) => name !== 'emas'));
    return inParts(inputs, 1 + states).map(([gradient = '', ...state], i) => ({
      ...{ op: 'NativeAdam', attributes: settings, read: [rates, gradient] },
      written: state.map((ref, j) => ({ input: ref, output: i * states + j })),
    }));
  },
});

function inParts<T>(of: readonly T[], length: number): T[][] {
  return Array.from({ length: of.length / length }, (_, i) => of.slice(i * length, (i + 1) * length));
}
