/** Gradients with the values met on the way. */
import test from 'ava';
import { createEagerEngine, stopGradient, tf, valueAndGradients } from '../../shared/engine/index.js';

await createEagerEngine();

test.serial('values come beside the gradients, and no other tensor stays', (t) => {
  const before = tf.memory().numTensors;
  const { loss, square, dx, dy } = tf.tidy(() => {
    const { values, gradients } = valueAndGradients(
      ({ x, y }) => {
        const product = tf.mul(x as tf.Tensor, y as tf.Tensor);
        return { loss: tf.sum(product), square: tf.square(product) };
      },
      { x: tf.tensor1d([1, 2]), y: tf.tensor1d([3, 4]) },
    );
    return { ...values, dx: gradients['x'] as tf.Tensor, dy: gradients['y'] as tf.Tensor };
  });
  t.is(tf.memory().numTensors, before + 4);
  t.deepEqual([...loss.dataSync()], [11]);
  t.deepEqual([...square.dataSync()], [9, 64]);
  t.deepEqual([...dx.dataSync()], [3, 4]);
  t.deepEqual([...dy.dataSync()], [1, 2]);
  tf.dispose([loss, square, dx, dy]);
});

test.serial('no gradient passes stopGradient, and the value does', (t) => {
  tf.tidy(() => {
    const { values, gradients } = valueAndGradients(
      ({ x }) => ({ loss: tf.sum(tf.mul(stopGradient(tf.square(x as tf.Tensor)), x as tf.Tensor)) }),
      { x: tf.tensor1d([2, 3]) },
    );
    t.deepEqual([...values.loss.dataSync()], [35]);
    t.deepEqual([...(gradients['x'] as tf.Tensor).dataSync()], [4, 9]);
  });
});
