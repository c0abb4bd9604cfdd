/** Operations that the compiled engine has kernels of its own for. The eager engine composes them of tfjs's ops. */
import { tf } from './tf.js';

import { nativeKernels, TRACING_BACKEND } from './compiled/index.js';

let composing = false;

/**
 * The multiple that channel counts must be of, where a function is being traced for kernels of the engine's own; else
 * undefined, and the operations below can't be used.
 */
export function nativeLanes(): number | undefined {
  return composing || tf.getBackend() !== TRACING_BACKEND ? undefined : nativeKernels()?.lanes;
}

/** Calls `body` with `nativeLanes` undefined: what it is made of then has gradients of gradients. */
export function composed<T>(body: () => T): T {
  const outer = composing;
  composing = true;
  try {
    return body();
  } finally {
    composing = outer;
  }
}

/** x, but where a function is traced not before `awaited` has been computed. No gradient flows through it. */
export function after(x: tf.Tensor, awaited: tf.Tensor): tf.Tensor {
  if (tf.getBackend() !== TRACING_BACKEND) return x.clone();
  return one(run('After', { x, awaited }, {}));
}

export interface GroupNormOptions {
  readonly groups: number;
  /** Whether silu follows. */
  readonly silu: boolean;
}

/**
 * [y, mean [N, groups], rstd [N, groups]] of group norm over x [N, H, W, C], with gain and offset [N, C] or [1, C].
 * No gradient flows through it.
 */
export function nativeGroupNorm(
  inputs: readonly [x: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor],
  options: GroupNormOptions,
): tf.Tensor[] {
  const [x, gain, offset] = inputs;
  return run('NativeGroupNorm', { x, gain, offset }, options);
}

/** [dx, dGain, dOffset]. */
export function nativeGroupNormGradient(
  inputs: readonly [
    x: tf.Tensor,
    gain: tf.Tensor,
    offset: tf.Tensor,
    mean: tf.Tensor,
    rstd: tf.Tensor,
    dy: tf.Tensor,
  ],
  options: GroupNormOptions,
): tf.Tensor[] {
  const [x, gain, offset, mean, rstd, dy] = inputs;
  return run('NativeGroupNormGradient', { x, gain, offset, mean, rstd, dy }, options);
}

export interface AttentionOptions {
  readonly heads: number;
  /** Whether a pixel's channels are ordered [qkv, head, channel], or [head, qkv, channel]. */
  readonly partsFirst: boolean;
}

/**
 * softmax(q k^T / sqrt(C / heads)) v: qkv [N, pixels, 3 C] -> [N, pixels, C]. Pixels and channels of a head must be
 * multiples of `nativeLanes`. No gradient flows through it.
 */
export function nativeAttention(qkv: tf.Tensor, options: AttentionOptions): tf.Tensor {
  return one(run('NativeAttention', { qkv }, options));
}

/** d qkv, from dy [N, pixels, C]. */
export function nativeAttentionGradient(qkv: tf.Tensor, dy: tf.Tensor, options: AttentionOptions): tf.Tensor {
  return one(run('NativeAttentionGradient', { qkv, dy }, options));
}

/** The sum of all elements' squares, a scalar. No gradient flows through it. */
export function nativeSumOfSquares(x: tf.Tensor): tf.Tensor {
  return one(run('NativeSumOfSquares', { x }, {}));
}

function run(kernel: string, inputs: Readonly<Record<string, tf.Tensor>>, options: object): tf.Tensor[] {
  return [tf.engine().runKernel<tf.Tensor | tf.Tensor[]>(kernel, { ...inputs }, { ...options })].flat();
}

function one([tensor]: readonly tf.Tensor[]): tf.Tensor {
  return tensor as tf.Tensor;
}
