/** Group norm and attention at the sizes that the presets' networks have, by kernels and in plain operations. */
import test from 'ava';
import type { ExecutionContext } from 'ava';

import { ATTENTION } from '../../../shared/engine/composites/attention.js';
import { called } from '../../../shared/engine/composites/composite.js';
import { GROUP_NORM } from '../../../shared/engine/composites/group-norm.js';
import type { Attributes } from '../../../shared/engine/compiled/graph.js';
import { statelessNormal, tf } from '../../../shared/engine/index.js';
import type { Composite } from '../../../shared/engine/composites/index.js';
import type { EnginePrecision } from '../../../shared/engine/index.js';
import { at } from '../../../shared/foundation/index.js';
import { compiled } from './both.js';
import { presetLayers } from './preset-layers.js';
import { isExhaustive } from './preset-sizes.js';

const IMAGES = isExhaustive ? 3 : 2;
/** More than two of the chunks into which group norm divides an image. */
const SOME_PIXELS = 300;

type Shapes = readonly (readonly number[])[];

/** Compares a composite's first result and its gradients with those of its plain form, as tfjs differentiates it. */
async function agrees(
  t: ExecutionContext,
  shapes: Shapes,
  composite: Composite,
  attributes: Attributes,
  tolerance: number,
  precision: EnginePrecision = 'float32',
): Promise<void> {
  const loaded = await compiled.load({
    precision,
    variables: [],
    functions: {
      compared: {
        inputs: { seeds: { shape: [shapes.length + 1, 2], dtype: 'int32' } },
        body: ({ seeds }) => {
          const [dySeed, ...inputSeeds] = tf.unstack(seeds as tf.Tensor);
          const inputs = inputSeeds.map((seed, i) => statelessNormal(at(shapes, i), seed));
          const withGradients = (f: (...inputs: tf.Tensor[]) => tf.Tensor): tf.Tensor[] => {
            const y = f(...inputs);
            const dy = statelessNormal(y.shape, dySeed as tf.Tensor);
            return [y, ...tf.grads(f)(inputs, dy)];
          };
          const wanted = withGradients((...given) => at(composite.plain(given, attributes), 0));
          const got = withGradients((...given) => at(called(composite, given, attributes), 0));
          const differences = got.map((each, i) => difference(each, at(wanted, i)));
          return { outputs: { differences: tf.stack(differences) } };
        },
      },
    },
  });
  const seeds = Int32Array.from({ length: 2 * (shapes.length + 1) }, (_, i) => i);
  const { differences = new Float32Array() } = await loaded.run('compared', { seeds });
  await loaded.dispose();
  t.is(differences.length, shapes.length + 1);
  for (const [i, each] of differences.entries()) {
    t.true(each <= tolerance, `${i === 0 ? 'result' : `gradient ${i}`}: off by ${each}`);
  }
}

function difference(got: tf.Tensor, wanted: tf.Tensor): tf.Tensor {
  return tf.div(tf.max(tf.abs(tf.sub(got, wanted))), tf.max(tf.abs(wanted)));
}

const { norms, attentions } = presetLayers();

test('the presets have norms and attention of many sizes', (t) => {
  t.true(compiled.batchInvariant, 'there are no kernels: this file tests nothing');
  t.true(norms.length > 30 && attentions.length > 5);
});

for (const { channels, width, silu, perImage } of norms) {
  const height = isExhaustive ? width : Math.min(width, Math.ceil(SOME_PIXELS / width));
  const rows = perImage ? IMAGES : 1;
  const shapes = [
    [IMAGES, height, width, channels],
    [rows, channels],
    [rows, channels],
  ];
  const title = `group norm${silu ? ' and silu' : ''} of ${height}x${width}x${channels} with ${rows} gains`;
  const attributes = { groups: { int: 32 }, epsilon: { float: 1e-5 }, silu: { bool: silu } };
  test.serial(title, (t) => agrees(t, shapes, GROUP_NORM, attributes, 3e-5));
}

for (const { pixels, channels, heads } of attentions) {
  for (const newOrder of [true, false]) {
    for (const precision of ['float32', 'bfloat16'] as const) {
      const order = newOrder ? 'new' : 'legacy';
      test.serial(`${precision}: attention over ${pixels} pixels of ${heads} heads, ${order} order`, (t) =>
        agrees(
          t,
          [[IMAGES, pixels, 3 * channels]],
          ATTENTION,
          { heads: { int: heads }, parts_first: { bool: newOrder } },
          precision === 'float32' ? 1e-5 : 0.03,
          precision,
        ),
      );
    }
  }
}
