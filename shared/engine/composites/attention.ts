/** Self-attention of several heads over pixels, and its gradient. */
import { tf } from '../tf.js';

import type { Attributes, Output, Value } from '../compiled/graph.js';
import {
  boolAttribute,
  input,
  intAttribute,
  want,
  wantCount,
  wantDtype,
  wantRank,
} from '../compiled/operations/operation.js';
import { gradientsOfOutputs } from '../gradients.js';
import { called, composite } from './composite.js';
import type { Composite, StablehloTarget } from './composite.js';
import { fitsCall } from '../pjrt/stablehlo/attention-call.js';
import type { Hlo, Writer } from '../pjrt/stablehlo/writer.js';

export interface AttentionOptions {
  readonly heads: number;
  /** Whether a pixel's channels are ordered [qkv, head, channel], or [head, qkv, channel]. */
  readonly partsFirst: boolean;
}

/** softmax(q k^T / sqrt(C / heads)) v, head by head: qkv [N, pixels, 3 C] -> [N, pixels, C]. */
export function attention(qkv: tf.Tensor, { heads, partsFirst }: AttentionOptions): tf.Tensor {
  const attributes = { heads: { int: heads }, parts_first: { bool: partsFirst } };
  const [mixed] = called(ATTENTION, [qkv], attributes);
  return mixed as tf.Tensor;
}

/** [qkv] -> [y]. */
export const ATTENTION: Composite = composite({
  op: 'Attention',
  infer: (inputs, attributes) => {
    wantCount(inputs, 1);
    return mixedLike(input(inputs, 0), attributes);
  },
  gradient: {
    of: ([dy], saved, attributes) => called(ATTENTION_GRADIENT, [...saved, dy as tf.Tensor], attributes),
  },
  plain: ([qkv], attributes) => {
    const { weights, v, unpadded } = weighed(qkv as tf.Tensor, attributes);
    const [images = 0, pixels = 0, channels = 0] = (qkv as tf.Tensor).shape;
    const mixed = tf.transpose(unpadded(tf.matMul(weights, v)), [0, 2, 1, 3]);
    return [tf.reshape(mixed, [images, pixels, channels / 3])];
  },
  native: (builder, inputs, attributes, { lanes }) =>
    isNative(inputs, attributes, lanes)
      ? builder.add('NativeAttention', inputs, nativeAttributes(attributes))
      : undefined,
  fitsStablehlo: fitsCallOf,
  stablehlo: ({ hlo, attributes, x, outputs }) => {
    const { heads, scale } = headsOf(hlo, x(0), attributes);
    const [mixed] = hlo.attention(heads, scale);
    const shape = outputs[0]?.shape ?? [];
    return hlo.convert(hlo.reshape(hlo.transpose(mixed, BY_PIXELS), shape), 'float32');
  },
});

/** [qkv, dy] -> [d qkv]. */
export const ATTENTION_GRADIENT: Composite = composite({
  op: 'AttentionGradient',
  infer: (inputs, attributes) => {
    wantCount(inputs, 2);
    const [qkv, dy] = [input(inputs, 0), input(inputs, 1)];
    const [{ shape }] = mixedLike(qkv, attributes);
    want(dy.shape.join() === shape.join(), `a gradient [${shape.join()}]`, dy);
    return [{ dtype: 'float32', shape: qkv.shape }];
  },
  gradient: {
    of: (dys, saved, attributes) =>
      gradientsOfOutputs((qkv, dy) => [gradientOf(qkv, dy, attributes)], saved, dys),
  },
  plain: ([qkv, dy], attributes) => [gradientOf(qkv as tf.Tensor, dy as tf.Tensor, attributes)],
  native: (builder, inputs, attributes, { lanes }) =>
    isNative(inputs, attributes, lanes)
      ? builder.add('NativeAttentionGradient', inputs, nativeAttributes(attributes))
      : undefined,
  fitsStablehlo: fitsCallOf,
  stablehlo: ({ hlo, attributes, x }) => {
    const qkv = x(0);
    const { heads, scale, joined } = headsOf(hlo, qkv, attributes);
    // The same call as in the forward pass, which the compiler makes once.
    const [mixed, statistics] = hlo.attention(heads, scale);
    const byPixels = hlo.transpose(mixed, BY_PIXELS);
    const slope = hlo.reshape(hlo.convert(x(1), 'bfloat16'), byPixels.shape);
    const gradients = hlo.attentionGradient(heads, [byPixels, statistics], slope, scale);
    return hlo.convert(joined(gradients.map((each) => hlo.transpose(each, BY_PIXELS))), 'float32');
  },
});

/** [N, heads, pixels, channels of a head] to [N, pixels, heads, channels of a head], or back. */
const BY_PIXELS = [0, 2, 1, 3] as const;

function fitsCallOf(
  inputs: readonly Value[],
  attributes: Attributes,
  { attentionCalls }: StablehloTarget,
): boolean {
  const [, , channels = 0] = input(inputs, 0).shape;
  return attentionCalls && fitsCall(channels / 3 / intAttribute(attributes, 'heads'));
}

/** q, k and v as cuDNN wants them, and how their gradients become that of qkv [N, pixels, 3 C]. */
function headsOf(hlo: Writer, qkv: Hlo, attributes: Attributes) {
  const [images = 0, pixels = 0, channels = 0] = qkv.shape;
  const count = intAttribute(attributes, 'heads');
  const each = channels / 3 / count;
  const partsFirst = boolAttribute(attributes, 'parts_first');
  const axis = partsFirst ? 2 : 3;
  const parts = partsFirst ? [3, count] : [count, 3];
  const together = hlo.reshape(hlo.convert(qkv, 'bfloat16'), [images, pixels, ...parts, each]);
  const one = together.shape.map((length, i) => (i === axis ? 1 : length));
  const part = (index: number): Hlo => {
    const begin = together.shape.map((_, i) => (i === axis ? index : 0));
    return hlo.reshape(hlo.slice(together, begin, one), [images, pixels, count, each]);
  };
  const heads = [part(0), part(1), part(2)] as const;
  const joined = (gradients: readonly Hlo[]): Hlo => {
    const stacked = gradients.map((gradient) => hlo.reshape(gradient, one));
    return hlo.reshape(hlo.concatenate(stacked, axis), qkv.shape);
  };
  return { heads, scale: 1 / Math.sqrt(each), joined };
}

const nativeAttributes = (attributes: Attributes): Attributes => ({
  count: { int: intAttribute(attributes, 'heads') },
  parts_first: { bool: boolAttribute(attributes, 'parts_first') },
});

function isNative(inputs: readonly Value[], attributes: Attributes, lanes: number): boolean {
  const [, pixels = 0, channels = 0] = input(inputs, 0).shape;
  return pixels % lanes === 0 && (channels / 3 / intAttribute(attributes, 'heads')) % lanes === 0;
}

function mixedLike(qkv: Value, attributes: Attributes): [Output] {
  wantDtype(qkv, 'float32');
  wantRank(qkv, 3);
  const [images = 0, pixels = 0, channels = 0] = qkv.shape;
  want(channels % (3 * intAttribute(attributes, 'heads')) === 0, 'q, k and v of every head', qkv);
  return [{ dtype: 'float32', shape: [images, pixels, channels / 3] }];
}

// TensorFlow's exponential treats the last few values of a batch in another way than those before. With rows of a
// multiple of 8 pixels an image always ends where a vector does, so it doesn't depend on how many follow it.
const VECTOR_ROWS = 8;

/** Padded where pixels don't fill vectors; [N, heads, pixels, channels of a head] each. */
interface Weighed {
  /** q, by 1 / sqrt(channels of a head). */
  readonly scaled: tf.Tensor;
  readonly k: tf.Tensor;
  readonly v: tf.Tensor;
  /** softmax(q k^T / sqrt(channels of a head)), [N, heads, pixels, pixels]. */
  readonly weights: tf.Tensor;
  padded(x: tf.Tensor): tf.Tensor;
  unpadded(x: tf.Tensor): tf.Tensor;
}

function weighed(qkv: tf.Tensor, attributes: Attributes): Weighed {
  const { split, scale, padding } = layoutOf(qkv, attributes);
  const [q, k, v] = tf.unstack(split(qkv)) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const scaled = tf.mul(q, scale);
  if (padding === 0) {
    const same = (x: tf.Tensor): tf.Tensor => x;
    const weights = tf.softmax(tf.matMul(scaled, k, false, true));
    return { scaled, k, v, weights, padded: same, unpadded: same };
  }
  const padded = (x: tf.Tensor): tf.Tensor =>
    tf.pad4d(x as tf.Tensor4D, [
      [0, 0],
      [0, 0],
      [0, padding],
      [0, 0],
    ]);
  const unpadded = (x: tf.Tensor): tf.Tensor => tf.slice(x, [0, 0, 0, 0], q.shape);
  const pixels = q.shape[2] ?? 0;
  const mask = Float32Array.from({ length: pixels + padding }, (_, key) => (key < pixels ? 0 : -Infinity));
  const wide = { scaled: padded(scaled), k: padded(k), v: padded(v) };
  const logits = tf.matMul(wide.scaled, wide.k, false, true);
  const weights = tf.softmax(tf.add(logits, tf.tensor4d(mask, [1, 1, 1, mask.length])));
  return { ...wide, weights, padded, unpadded };
}

function layoutOf(qkv: tf.Tensor, attributes: Attributes) {
  const [images = 0, pixels = 0, channels = 0] = qkv.shape;
  const heads = intAttribute(attributes, 'heads');
  const headChannels = channels / 3 / heads;
  // Either order becomes [qkv, N, heads, pixels, channels of a head], and back.
  const [shape, order, inverse] = boolAttribute(attributes, 'parts_first')
    ? [
        [images, pixels, 3, heads, headChannels],
        [2, 0, 3, 1, 4],
        [1, 3, 0, 2, 4],
      ]
    : [
        [images, pixels, heads, 3, headChannels],
        [3, 0, 2, 1, 4],
        [1, 3, 2, 0, 4],
      ];
  return {
    split: (x: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(x, shape), order),
    joined: (x: tf.Tensor): tf.Tensor => tf.reshape(tf.transpose(x, inverse), qkv.shape),
    byHeads: (x: tf.Tensor): tf.Tensor =>
      tf.transpose(tf.reshape(x, [images, pixels, heads, headChannels]), [0, 2, 1, 3]),
    scale: 1 / Math.sqrt(headChannels),
    padding: (VECTOR_ROWS - (pixels % VECTOR_ROWS)) % VECTOR_ROWS,
  };
}

/** With p = softmax(q k^T): dv = p^T dy, dp = dy v^T, d logits = p (dp - sum(p dp)). */
function gradientOf(qkv: tf.Tensor, dy: tf.Tensor, attributes: Attributes): tf.Tensor {
  const { scaled, k, v, weights, padded, unpadded } = weighed(qkv, attributes);
  const { joined, byHeads, scale } = layoutOf(qkv, attributes);
  const slope = padded(byHeads(dy));
  const dv = tf.matMul(weights, slope, true, false);
  const weightedSlope = tf.mul(weights, tf.matMul(slope, v, false, true));
  const dLogits = tf.sub(weightedSlope, tf.mul(weights, tf.sum(weightedSlope, -1, true)));
  const dq = tf.mul(unpadded(tf.matMul(dLogits, k)), scale);
  const dk = tf.matMul(dLogits, scaled, true, false);
  return joined(tf.stack([dq, unpadded(dk), unpadded(dv)]));
}
