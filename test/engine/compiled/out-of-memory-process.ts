/** Asks for more memory than any machine has; prints the error's code and reason. */
import { createCompiledEngine, tf } from '../../../shared/engine/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';

const LENGTH = 2 ** 21;

const loaded = await (
  await createCompiledEngine()
).load({
  variables: [],
  functions: {
    huge: {
      inputs: { x: { shape: [1, 1], dtype: 'float32' } },
      body: ({ x }) => {
        const column = tf.tile(x as tf.Tensor, [LENGTH, 1]);
        return { outputs: { sum: tf.sum(tf.matMul(column, column, false, true)) } };
      },
    },
  },
});
try {
  await loaded.run('huge', { x: Float32Array.of(1) });
} catch (error) {
  if (!(error instanceof DiffusionError)) throw error;
  console.log(error.code, error.reason);
}
