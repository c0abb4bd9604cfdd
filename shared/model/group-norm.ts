/** Group norm as one op with a gradient of its own, over per-channel sums. */
import { nativeGroupNorm, nativeGroupNormGradient, nativeLanes, tf } from '../engine/index.js';
import { silu } from './activations.js';
import { NORM_GROUPS } from './config.js';

const EPSILON = 1e-5;

type Save = (tensors: tf.Tensor[]) => void;

/**
 * Normalises each group of channels over its pixels, then y = normalised * gain + offset.
 *
 * @param x [N, H, W, C].
 * @param gain [N, C], or [1, C] when all images share it.
 * @param offset Of gain's shape.
 */
export function groupNorm(x: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor): tf.Tensor {
  return hasKernel(x) ? NATIVE.plain(x, gain, offset) : normalise(x, gain, offset);
}

/** silu(groupNorm(x, gain, offset)). */
export function groupNormSilu(x: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor): tf.Tensor {
  return hasKernel(x) ? NATIVE.silu(x, gain, offset) : silu(normalise(x, gain, offset));
}

function hasKernel(x: tf.Tensor): boolean {
  const lanes = nativeLanes();
  return lanes !== undefined && (x.shape[3] ?? 0) % lanes === 0;
}

/** By the engine's own kernel, which has no gradient of its gradient. */
function native(silu: boolean): (...inputs: tf.Tensor[]) => tf.Tensor {
  const options = { groups: NORM_GROUPS, silu };
  return tf.customGrad((...args) => {
    const [x, gain, offset] = args.slice(0, 3) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const [y, ...statistics] = nativeGroupNorm([x, gain, offset], options);
    (args[3] as Save)([x, gain, offset, ...statistics]);
    return {
      value: y as tf.Tensor,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const inputs = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        return nativeGroupNormGradient([...inputs, dy], options);
      },
    };
  });
}

const NATIVE = { plain: native(false), silu: native(true) };

const normalise = tf.customGrad((...args) => {
  const [x, gain, offset] = args.slice(0, 3) as [tf.Tensor, tf.Tensor, tf.Tensor];
  // Inputs only: the statistics are computed again in the gradient, so that its own gradient is right too.
  (args[3] as Save)([x, gain]);
  const { mean, rstd } = statistics(x);
  const slope = tf.mul(rstd, grouped(gain));
  const intercept = tf.sub(grouped(offset), tf.mul(mean, slope));
  return {
    value: tf.add(tf.mul(x, perPixel(slope)), perPixel(intercept)),
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [savedX, savedGain] = saved as [tf.Tensor, tf.Tensor];
      return gradient(savedX, savedGain, dy);
    },
  };
});

/**
 * With xhat = (x - mean) rstd, g = gain dy and means over each group:
 * dx = rstd (g - mean(g) - xhat mean(g xhat)), d gain = sum dy xhat, d offset = sum dy.
 * dx is linear in dy and x, so it takes two multiply-adds over the images.
 */
function gradient(x: tf.Tensor, gain: tf.Tensor, dy: tf.Tensor): tf.Tensor[] {
  const { mean, rstd, size } = statistics(x);
  const gains = grouped(gain);
  const sumDy = grouped(perChannel(dy));
  const sumDyXhat = tf.mul(rstd, tf.sub(grouped(perChannel(tf.mul(dy, x))), tf.mul(mean, sumDy)));

  const meanG = tf.div(tf.sum(tf.mul(gains, sumDy), 2, true), size);
  const meanGXhat = tf.div(tf.sum(tf.mul(gains, sumDyXhat), 2, true), size);
  const slopeX = tf.neg(tf.mul(tf.square(rstd), meanGXhat));
  const intercept = tf.neg(tf.add(tf.mul(rstd, meanG), tf.mul(mean, slopeX)));
  // One value a group here; the images need one a channel.
  const each = tf.onesLike(sumDy);
  const dx = tf.add(
    tf.mul(dy, perPixel(tf.mul(rstd, gains))),
    tf.add(tf.mul(x, perPixel(tf.mul(slopeX, each))), perPixel(tf.mul(intercept, each))),
  );
  const shared = gain.shape[0] === 1;
  const likeGain = (sums: tf.Tensor): tf.Tensor =>
    tf.reshape(shared ? tf.sum(sums, 0, true) : sums, gain.shape);
  return [dx, likeGain(sumDyXhat), likeGain(sumDy)];
}

interface Statistics {
  /** [N, groups, 1]. */
  readonly mean: tf.Tensor;
  /** 1 / sqrt(variance + 1e-5), [N, groups, 1]. */
  readonly rstd: tf.Tensor;
  /** Values a group. */
  readonly size: number;
}

// E[x^2] - E[x]^2 loses digits where a group's mean is many times its deviation; the README has the numbers.
function statistics(x: tf.Tensor): Statistics {
  const [, height = 1, width = 1, channels = 1] = x.shape;
  const size = (height * width * channels) / NORM_GROUPS;
  const mean = tf.div(tf.sum(grouped(perChannel(x)), 2, true), size);
  const meanSquare = tf.div(tf.sum(grouped(perChannel(tf.square(x))), 2, true), size);
  const variance = tf.relu(tf.sub(meanSquare, tf.square(mean)));
  return { mean, rstd: tf.rsqrt(tf.add(variance, EPSILON)), size };
}

/** [N, H, W, C] -> sums [N, C]. */
function perChannel(x: tf.Tensor): tf.Tensor {
  return tf.sum(tf.sum(x, 2), 1);
}

/** [N, C] -> [N, groups, C / groups]. */
function grouped(values: tf.Tensor): tf.Tensor {
  const [images = 1, channels = 1] = values.shape;
  return tf.reshape(values, [images, NORM_GROUPS, channels / NORM_GROUPS]);
}

/** [N, groups, C / groups] -> [N, 1, 1, C]. */
function perPixel(values: tf.Tensor): tf.Tensor {
  const [images = 1, groups = 1, channels = 1] = values.shape;
  return tf.reshape(values, [images, 1, 1, groups * channels]);
}
