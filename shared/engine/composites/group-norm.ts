/** Group norm, with silu after it where asked, and its gradient: per-channel sums, and multiply-adds over the images. */
import { tf } from '../tf.js';

import type { Attributes, Output, Value } from '../compiled/graph.js';
import type { NativeKernels } from '../compiled/native-kernels.js';
import {
  boolAttribute,
  floatAttribute,
  input,
  intAttribute,
  want,
  wantCount,
  wantDtype,
  wantRank,
} from '../compiled/operations/operation.js';
import { gradientsOfOutputs } from '../gradients.js';
import { called, composite } from './composite.js';
import type { Composite } from './composite.js';
import { plainSilu, siluGradient } from './silu.js';

export interface GroupNormOptions {
  /** A divisor of the channels. */
  readonly groups: number;
  /** Added to the variance. */
  readonly epsilon: number;
  /** Whether silu follows. */
  readonly silu: boolean;
}

/**
 * Normalises each group of channels over its pixels, then y = normalised * gain + offset; silu(y) where asked.
 *
 * @param x [N, H, W, C].
 * @param gain [N, C], or [1, C] when all images share it.
 * @param offset Of gain's shape.
 */
export function groupNorm(
  x: tf.Tensor,
  gain: tf.Tensor,
  offset: tf.Tensor,
  { groups, epsilon, silu }: GroupNormOptions,
): tf.Tensor {
  const attributes = { groups: { int: groups }, epsilon: { float: epsilon }, silu: { bool: silu } };
  const [y] = called(GROUP_NORM, [x, gain, offset], attributes);
  return y as tf.Tensor;
}

/** x, gain and offset. */
type Norm = readonly [tf.Tensor, tf.Tensor, tf.Tensor];
type Six = readonly [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
/** Mean and 1 / sqrt(variance + epsilon) of each image's groups, [N, groups]. */
type Statistics = readonly [mean: tf.Tensor, rstd: tf.Tensor];

/** [x, gain, offset] -> [y, mean, rstd]; the statistics are for the gradient. */
export const GROUP_NORM: Composite = composite({
  op: 'GroupNorm',
  infer: (inputs, attributes) => {
    wantCount(inputs, 3);
    const statistics = checkedStatistics(inputs, attributes);
    return float32(input(inputs, 0).shape, statistics, statistics);
  },
  gradient: {
    outputs: [false, true, true],
    of: ([dy], saved, attributes) => called(GROUP_NORM_GRADIENT, [...saved, dy as tf.Tensor], attributes),
  },
  plain: (inputs, attributes) => {
    const norm = inputs as unknown as Norm;
    const statistics = statisticsOf(norm[0], attributes);
    const y = normalised(norm, statistics);
    return [boolAttribute(attributes, 'silu') ? plainSilu(y) : y, ...statistics];
  },
  native: (builder, inputs, attributes, kernels) => {
    if (!isNative(inputs, attributes, kernels)) return undefined;
    const name = boolAttribute(attributes, 'silu') ? 'NativeGroupNormSilu' : 'NativeGroupNorm';
    return builder.add(name, inputs, nativeAttributes(attributes));
  },
});

/** [x, gain, offset, mean, rstd, dy] -> [dx, d gain, d offset]. */
export const GROUP_NORM_GRADIENT: Composite = composite({
  op: 'GroupNormGradient',
  infer: (inputs, attributes) => {
    wantCount(inputs, 6);
    const [x, gain] = [input(inputs, 0), input(inputs, 1)];
    const statistics = checkedStatistics(inputs, attributes).join();
    for (const index of [3, 4]) {
      const given = input(inputs, index);
      want(given.shape.join() === statistics, `statistics [${statistics}]`, given);
    }
    want(input(inputs, 5).shape.join() === x.shape.join(), "a gradient of x's shape", input(inputs, 5));
    return float32(x.shape, gain.shape, gain.shape);
  },
  gradient: {
    // The statistics follow from x: they are computed again here, so that x gets all of the gradient and they get none.
    of: (dys, [x, gain, offset, mean, rstd, dy], attributes) => {
      const [dx, dGain, dOffset, ddy] = gradientsOfOutputs(
        (...[a, b, c, slope]) => {
          const norm = [a, b, c] as unknown as Norm;
          return gradientOf(norm, statisticsOf(norm[0], attributes), slope as tf.Tensor, attributes);
        },
        [x, gain, offset, dy] as tf.Tensor[],
        dys,
      );
      const none = [mean, rstd].map((each) => tf.zerosLike(each as tf.Tensor));
      return [dx, dGain, dOffset, ...none, ddy] as tf.Tensor[];
    },
  },
  plain: (inputs, attributes) => {
    const [x, gain, offset, mean, rstd, dy] = inputs as Six;
    return gradientOf([x, gain, offset], [mean, rstd], dy, attributes);
  },
  native: (builder, inputs, attributes, kernels) => {
    if (!isNative(inputs, attributes, kernels)) return undefined;
    const name = boolAttribute(attributes, 'silu')
      ? 'NativeGroupNormSiluGradient'
      : 'NativeGroupNormGradient';
    return builder.add(name, inputs, nativeAttributes(attributes));
  },
});

const nativeAttributes = (attributes: Attributes): Attributes => ({
  count: { int: intAttribute(attributes, 'groups') },
});

function isNative(inputs: readonly Value[], attributes: Attributes, kernels: NativeKernels): boolean {
  const { lanes, normEpsilon } = kernels;
  return channelsOf(input(inputs, 0)) % lanes === 0 && floatAttribute(attributes, 'epsilon') === normEpsilon;
}

const channelsOf = ({ shape }: Output): number => shape.at(-1) ?? 0;

const float32 = (...shapes: readonly (readonly number[])[]): Output[] =>
  shapes.map((shape) => ({ dtype: 'float32', shape }));

/** The statistics' shape. @throws Error where x, gain and offset don't fit each other. */
function checkedStatistics(inputs: readonly Value[], attributes: Attributes): [number, number] {
  const [x, gain, offset] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
  for (const value of inputs) wantDtype(value, 'float32');
  wantRank(x, 4);
  const [images = 0, channels, groups] = [x.shape[0], channelsOf(x), intAttribute(attributes, 'groups')];
  want(channels % groups === 0, `a multiple of ${groups} channels`, x);
  const rows = gain.shape[0] ?? 0;
  const fits = gain.shape.length === 2 && [1, images].includes(rows) && gain.shape[1] === channels;
  want(fits, `a gain [1 or ${images},${channels}]`, gain);
  want(offset.shape.join() === gain.shape.join(), "an offset of the gain's shape", offset);
  return [images, groups];
}

// E[x^2] - E[x]^2 loses digits where a group's mean is many times its deviation; the README has the numbers.
function statisticsOf(x: tf.Tensor, attributes: Attributes): Statistics {
  const groups = intAttribute(attributes, 'groups');
  const size = valuesOfGroup(x, groups);
  const meanOf = (values: tf.Tensor): tf.Tensor =>
    tf.div(tf.sum(grouped(perChannel(values), groups), 2), size);
  const mean = meanOf(x);
  const variance = tf.relu(tf.sub(meanOf(tf.square(x)), tf.square(mean)));
  return [mean, tf.rsqrt(tf.add(variance, floatAttribute(attributes, 'epsilon')))];
}

/** Per group and channel: how y depends on x. */
function line([, gain, offset]: Norm, [mean, rstd]: Statistics) {
  const groups = mean.shape[1] ?? 1;
  const slope = tf.mul(perGroup(rstd), grouped(gain, groups));
  return { slope, intercept: tf.sub(grouped(offset, groups), tf.mul(perGroup(mean), slope)) };
}

function normalised(norm: Norm, statistics: Statistics): tf.Tensor {
  const { slope, intercept } = line(norm, statistics);
  return tf.add(tf.mul(norm[0], perPixel(slope)), perPixel(intercept));
}

/**
 * With xhat = (x - mean) rstd, g = gain dy and means over each group:
 * dx = rstd (g - mean(g) - xhat mean(g xhat)), d gain = sum dy xhat, d offset = sum dy.
 * dx is linear in dy and x, so it takes two multiply-adds over the images.
 */
function gradientOf(norm: Norm, statistics: Statistics, dy: tf.Tensor, attributes: Attributes): tf.Tensor[] {
  const [x, gain] = norm;
  const slope = boolAttribute(attributes, 'silu') ? siluGradient(normalised(norm, statistics), dy) : dy;
  const groups = intAttribute(attributes, 'groups');
  const size = valuesOfGroup(x, groups);
  const [mean, rstd] = [perGroup(statistics[0]), perGroup(statistics[1])];
  const gains = grouped(gain, groups);
  const sumDy = grouped(perChannel(slope), groups);
  const sumDyXhat = tf.mul(rstd, tf.sub(grouped(perChannel(tf.mul(slope, x)), groups), tf.mul(mean, sumDy)));

  const meanG = tf.div(tf.sum(tf.mul(gains, sumDy), 2, true), size);
  const meanGXhat = tf.div(tf.sum(tf.mul(gains, sumDyXhat), 2, true), size);
  const slopeX = tf.neg(tf.mul(tf.square(rstd), meanGXhat));
  const intercept = tf.neg(tf.add(tf.mul(rstd, meanG), tf.mul(mean, slopeX)));
  // One value a group here; the images need one a channel.
  const each = tf.onesLike(sumDy);
  const dx = tf.add(
    tf.mul(slope, perPixel(tf.mul(rstd, gains))),
    tf.add(tf.mul(x, perPixel(tf.mul(slopeX, each))), perPixel(tf.mul(intercept, each))),
  );
  const shared = gain.shape[0] === 1;
  const likeGain = (sums: tf.Tensor): tf.Tensor =>
    tf.reshape(shared ? tf.sum(sums, 0, true) : sums, gain.shape);
  return [dx, likeGain(sumDyXhat), likeGain(sumDy)];
}

function valuesOfGroup(x: tf.Tensor, groups: number): number {
  const [images = 1] = x.shape;
  return x.size / images / groups;
}

/** [N, H, W, C] -> sums [N, C]. Over width, then height, which halves their rounding. */
function perChannel(x: tf.Tensor): tf.Tensor {
  return tf.sum(tf.sum(x, 2), 1);
}

/** [N, C] -> [N, groups, C / groups]. */
function grouped(values: tf.Tensor, groups: number): tf.Tensor {
  const [images = 1, channels = 1] = values.shape;
  return tf.reshape(values, [images, groups, channels / groups]);
}

/** [N, groups] -> [N, groups, 1]. */
function perGroup(values: tf.Tensor): tf.Tensor {
  return tf.reshape(values, [...values.shape, 1]);
}

/** [N, groups, C / groups] -> [N, 1, 1, C]. */
function perPixel(values: tf.Tensor): tf.Tensor {
  const [images = 1, groups = 1, channels = 1] = values.shape;
  return tf.reshape(values, [images, 1, 1, groups * channels]);
}
