/** The linear and resampling pieces that the network is made of. */
import { tf } from '../engine/index.js';
import type { Tensors } from '../engine/index.js';
import { at } from '../foundation/index.js';
import type { Resampling } from './plan.js';

/** A parameter by its full name. */
export function parameter(parameters: Tensors, name: string): tf.Tensor {
  const tensor = parameters[name];
  if (tensor === undefined) throw new Error(`the network needs the parameter ${name}; it was not given`);
  return tensor;
}

/** [N, in] -> [N, out]. */
export function linear(parameters: Tensors, name: string, x: tf.Tensor): tf.Tensor {
  const product = tf.matMul(x, parameter(parameters, `${name}.weight`));
  return tf.add(product, parameter(parameters, `${name}.bias`));
}

/** A convolution with zero padding that keeps height and width: [N, H, W, in] -> [N, H, W, out]. */
export function conv(parameters: Tensors, name: string, x: tf.Tensor): tf.Tensor {
  const [image, filter] = withTwoChannels(
    x as tf.Tensor4D,
    parameter(parameters, `${name}.weight`) as tf.Tensor4D,
  );
  return tf.add(tf.conv2d(image, filter, 1, 'same'), parameter(parameters, `${name}.bias`));
}

// oneDNN computes one channel of one image in another way than one channel of several, and an image must not
// depend on how many others are beside it. A second channel of zeros makes both the same.
function withTwoChannels(x: tf.Tensor4D, filter: tf.Tensor4D): [tf.Tensor4D, tf.Tensor4D] {
  if (x.shape[3] !== 1) return [x, filter];
  return [
    tf.pad4d(x, [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 1],
    ]),
    tf.pad4d(filter, [
      [0, 0],
      [0, 0],
      [0, 1],
      [0, 0],
    ]),
  ];
}

/** A 3x3 convolution of stride 2: [N, H, W, in] -> [N, H / 2, W / 2, out]. */
export function stridedConv(parameters: Tensors, name: string, x: tf.Tensor): tf.Tensor {
  const filter = parameter(parameters, `${name}.weight`) as tf.Tensor4D;
  // PyTorch pads both sides; TensorFlow's "same" would pad only below and on the right.
  const padded = tf.pad4d(x as tf.Tensor4D, [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ]);
  return tf.add(tf.conv2d(padded, filter, 2, 'valid'), parameter(parameters, `${name}.bias`));
}

/** Doubles height and width by repetition, halves them by averaging, or neither. */
export function resample(x: tf.Tensor, resampling: Resampling): tf.Tensor {
  switch (resampling) {
    case 'none':
      return x;
    case 'up':
      return repeated(x);
    case 'down':
      return averaged(x);
  }
}

// Repetition along an axis is a concatenation seen in another shape; all of it has gradients of any order.
function repeated(x: tf.Tensor): tf.Tensor {
  const [images = 1, height = 1, width = 1, channels = 1] = x.shape;
  const wide = tf.concat([x, x], 3);
  const rows = tf.reshape(wide, [images, height, 2 * width * channels]);
  return tf.reshape(tf.concat([rows, rows], 2), [images, 2 * height, 2 * width, channels]);
}

function averaged(x: tf.Tensor): tf.Tensor {
  const [images = 1, height = 1, width = 1, channels = 1] = x.shape;
  const rows = tf.sum(tf.reshape(x, [(images * height) / 2, 2, width * channels]), 1);
  const sums = tf.sum(tf.reshape(rows, [(images * height * width) / 4, 2, channels]), 1);
  return tf.reshape(tf.mul(sums, 0.25), [images, height / 2, width / 2, channels]);
}

const MAX_PERIOD = 10_000;

/**
 * [cos(t f), sin(t f)] over frequencies f from 1 down to almost 1 / 10,000: [N] -> [N, channels].
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/nn.py:103-121.
 */
export function timestepEmbedding(t: tf.Tensor, channels: number): tf.Tensor {
  const half = channels / 2;
  const frequencies = Float64Array.from({ length: half }, (_, i) =>
    Math.exp((-Math.log(MAX_PERIOD) * i) / half),
  );
  // A float32 frequency times t near 1,000 is off by 3e-5, which a sampler's first steps multiply by 20,000. So
  // each is the sum of a part with 12 bits, whose product with an integer t is exact, and a small rest.
  const coarse = frequencies.map(withTwelveBits);
  const fine = frequencies.map((frequency, i) => frequency - at(coarse, i));
  const anglesOf = (parts: Float64Array): tf.Tensor =>
    tf.mul(tf.reshape(t, [-1, 1]), tf.tensor2d(Float32Array.from(parts), [1, half]));
  const [a, b] = [anglesOf(coarse), anglesOf(fine)];
  const cos = tf.sub(tf.mul(tf.cos(a), tf.cos(b)), tf.mul(tf.sin(a), tf.sin(b)));
  const sin = tf.add(tf.mul(tf.sin(a), tf.cos(b)), tf.mul(tf.cos(a), tf.sin(b)));
  return tf.concat([cos, sin], 1);
}

function withTwelveBits(value: number): number {
  const unit = 2 ** (Math.floor(Math.log2(value)) - 11);
  return Math.round(value / unit) * unit;
}
