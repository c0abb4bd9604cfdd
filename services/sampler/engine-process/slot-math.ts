/** What parts of rows compute with on a device: tensors of a pass, [size, H, W, C], or [size, 1, 1, 1] for numbers. */
import { tf } from '../../../shared/engine/index.js';
import type { SlotMath } from '../../../shared/sampler/index.js';

export const slotMath: SlotMath<tf.Tensor> = {
  constant: (value) => tf.scalar(value),
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
};
