/** Three steps of a small convolution's training with drawn noise; prints a hash of every byte of the results. */
import { createHash } from 'node:crypto';

import { createCompiledEngine } from '../../../shared/engine/compiled/index.js';
import { statelessNormal, tf, valueAndGradients } from '../../../shared/engine/index.js';
import type { EngineModule } from '../../../shared/engine/index.js';

const SIDE = 32;
const CHANNELS = 16;

const module: EngineModule = {
  variables: [
    { name: 'filter', shape: [3, 3, CHANNELS, CHANNELS] },
    { name: 'weight', shape: [CHANNELS, CHANNELS] },
  ],
  functions: {
    step: {
      inputs: { key: { shape: [2], dtype: 'int32' } },
      body: ({ key }, variables) => {
        const x = statelessNormal([4, SIDE, SIDE, CHANNELS], key as tf.Tensor) as tf.Tensor4D;
        const { values, gradients } = valueAndGradients(({ filter, weight }) => {
          const hidden = tf.sigmoid(tf.conv2d(x, tf.add<tf.Tensor4D>(filter as tf.Tensor, 0.1), 1, 'same'));
          const pixels = tf.reshape(hidden, [-1, CHANNELS]);
          return {
            loss: tf.mean(
              tf.square(tf.sub(tf.matMul(pixels, weight as tf.Tensor2D), tf.reshape(x, [-1, CHANNELS]))),
            ),
          };
        }, variables);
        const updates = Object.fromEntries(
          Object.entries(variables).map(([name, value]) => [
            name,
            tf.sub(value, tf.mul(gradients[name] as tf.Tensor, 0.1)),
          ]),
        );
        return { outputs: values, updates };
      },
    },
  },
};

const loaded = await (await createCompiledEngine()).load(module);
const hash = createHash('sha256');
for (const step of [1, 2, 3])
  hash.update((await loaded.run('step', { key: Int32Array.of(5, step) }))['loss'] ?? '');
for (const values of (await loaded.read(['filter', 'weight'])).values()) hash.update(values);
await loaded.dispose();
console.log(hash.digest('hex'));
