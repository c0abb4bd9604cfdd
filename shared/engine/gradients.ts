/** Gradients of a loss with the values met on the way, and gradients inside of gradients. */
import { tf } from './tf.js';

import type { Tensors } from './module.js';

export interface LossAndGradients<Values> {
  readonly values: Values;
  /** d loss / d parameter, one for each parameter, of its shape. */
  readonly gradients: Record<string, tf.Tensor>;
}

/**
 * Differentiates `f(parameters).loss`, a scalar, and returns all that `f` returned beside the gradients.
 * The loss must depend on every parameter.
 */
export function valueAndGradients<Values extends { readonly loss: tf.Tensor } & Tensors>(
  f: (parameters: Tensors) => Values,
  parameters: Tensors,
): LossAndGradients<Values> {
  const names = Object.keys(parameters);
  let kept: Record<string, tf.Tensor> = {};
  const { grads, value } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
    const values = f(Object.fromEntries(names.map((name, i) => [name, tensors[i] as tf.Tensor])));
    // tfjs frees what the differentiated function makes, except its one result.
    kept = Object.fromEntries(
      Object.entries(values)
        .filter(([name]) => name !== 'loss')
        .map(([name, tensor]) => [name, tf.keep(tensor.clone())]),
    );
    return values.loss as tf.Scalar;
  })(Object.values(parameters));
  const values: Record<string, tf.Tensor> = { loss: value };
  for (const [name, tensor] of Object.entries(kept)) {
    // A clone belongs to the caller's scope, as an ordinary result does.
    values[name] = tensor.clone();
    tensor.dispose();
  }
  return {
    values: values as Values,
    gradients: Object.fromEntries(names.map((name, i) => [name, grads[i] as tf.Tensor])),
  };
}

/** The identity, through which no gradient flows. */
export function stopGradient(x: tf.Tensor): tf.Tensor {
  const blocked = tf.customGrad((value) => ({
    value: (value as tf.Tensor).clone(),
    gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy),
  }));
  return blocked(x);
}

/** `tf.grads(f)(inputs, dy)` for use inside of another gradient. */
export function gradientsWithin(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: readonly tf.Tensor[],
  dy: tf.Tensor,
): tf.Tensor[] {
  return valueAndGradientsWithin(f, inputs, dy).gradients;
}

/** The same with f's value. What encloses it differentiates both. */
export function valueAndGradientsWithin(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: readonly tf.Tensor[],
  dy: tf.Tensor,
): { readonly value: tf.Tensor; readonly gradients: tf.Tensor[] } {
  return within(() => {
    const { value, grads } = tf.valueAndGrads(f)([...inputs], dy);
    return { value, gradients: grads };
  });
}

/** The gradient in each input from those in all outputs of f, for use inside of another gradient; 0 where f takes no input. */
export function gradientsOfOutputs(
  f: (...inputs: tf.Tensor[]) => readonly tf.Tensor[],
  inputs: readonly tf.Tensor[],
  dys: readonly tf.Tensor[],
): tf.Tensor[] {
  // tfjs differentiates one result. This one has the wanted gradients in f's outputs, whatever its value.
  const ended = tf.customGrad(() => ({ value: tf.scalar(0), gradFunc: () => [...dys] }));
  const { grads } = within(() =>
    tf.engine().gradients(() => ended(...f(...inputs)), [...inputs], undefined, true),
  );
  return grads.map((grad: tf.Tensor | null, i) => grad ?? tf.zerosLike(inputs[i] as tf.Tensor));
}

function within<T>(differentiate: () => T): T {
  // tfjs forgets its record of the outer gradient when it has finished the inner one, and then fails.
  const { state } = tf.engine();
  const outer = state.activeTape;
  try {
    return differentiate();
  } finally {
    state.activeTape = outer;
  }
}
