/** What parts of rows compute with on a device: tensors of a pass, [size, H, W, C], or [size, 1, 1, 1] for numbers. */
import { tf } from '../../../shared/engine/index.js';
import type { SlotMath } from '../../../shared/sampler/index.js';

export const slotMath: SlotMath<tf.Tensor> = {
  constant: (value) => tf.scalar(value),
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  min: tf.minimum,
  max: tf.maximum,
  abs: tf.abs,
  sqrt: tf.sqrt,
  where: (isOver0, then, otherwise) =>
    tf.where(tf.greater(tf.broadcastTo(isOver0, then.shape), 0), then, otherwise),
  ranked: (image, rank) => {
    const [size = 0, ...rest] = image.shape;
    const length = rest.reduce((product, each) => product * each, 1);
    const { values } = tf.topk(tf.reshape(image, [size, length]), length);
    const begins = tf.tensor1d(
      Array.from({ length: size }, (_, row) => row * length),
      'int32',
    );
    const valueAt = (place: tf.Tensor): tf.Tensor => {
      const inRow = tf.cast(tf.clipByValue(place, 0, length - 1), 'int32');
      return tf.gather(tf.reshape(values, [size * length]), tf.add<tf.Tensor1D>(begins, inRow));
    };
    const place = tf.sub(tf.reshape(rank, [size]), 1);
    const [above, below] = [tf.floor(place), tf.ceil(place)];
    const share = tf.mul(tf.sub(place, above), tf.sub(valueAt(below), valueAt(above)));
    return tf.reshape(tf.add(valueAt(above), share), [size, 1, 1, 1]);
  },
  mean: (image) => tf.mean(image, [1, 2, 3], true),
  blockMeans: (image) => {
    const [size = 0, height = 0, width = 0, channels = 0] = image.shape;
    const means = tf.avgPool(image as tf.Tensor4D, 2, 2, 'same');
    const [, rows, columns] = means.shape;
    const apart = tf.reshape(means, [size, rows, 1, columns, 1, channels]);
    const spread = tf.broadcastTo(apart, [size, rows, 2, columns, 2, channels]);
    const whole = tf.reshape(spread, [size, 2 * rows, 2 * columns, channels]);
    return tf.slice(whole, [0, 0, 0, 0], [size, height, width, channels]);
  },
};
