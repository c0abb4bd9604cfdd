/** Each checkpoint file of the reference, imported, is the network that it computed with. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { withFile } from '../../services/cli/convert/file-source.js';
import { readWeights } from '../../services/cli/convert/read-weights.js';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { createCompiledEngine } from '../../shared/engine/index.js';
import { openTensorFile } from '../../shared/interchange/index.js';
import { parameterSpecs, toEngineLayout } from '../../shared/model/index.js';
import type { PartialRecipe } from '../../shared/recipe/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { run } from '../cli/sinks.js';
import { goldenDir, goldenNames } from './golden.js';
import { difference, GoldenTensors, largest, unetConfigOf, withModule } from './reference.js';

const TOLERANCE = 1e-5;
const [STEP, EMA_RATE] = [3, 0.9999];

const files = await Promise.all(
  goldenNames()
    .filter((name) => name.endsWith('.pt'))
    .map(async (name) => {
      const path = join(goldenDir(), name);
      return { name, path, golden: await networkWith(path) };
    }),
);

if (files.length === 0) {
  // The committed set does without such a file of 1.4 MB: it has the same weights as safetensors.
  test.skip('no .pt file is at hand', (t) => {
    t.pass();
  });
}

for (const { name, path, golden } of files) {
  if (golden === undefined) {
    test.skip(`${name}: no unet_* file has these weights`, (t) => {
      t.pass();
    });
    continue;
  }
  test(`${name} imports, and gives the output of ${golden.name}`, async (t) => {
    const config = unetConfigOf(golden);
    const { imageSize, inChannels, outChannels, numClasses = 0, ...architecture } = config;
    const recipe: PartialRecipe = {
      preset: 'cifar10-32',
      dataset: { imageSize, channels: inChannels === 1 ? 1 : 3 },
      objective: { varianceType: outChannels === inChannels ? 'fixed_small' : 'learned_range' },
      architecture: { ...architecture, numClasses } as NonNullable<PartialRecipe['architecture']>,
    };
    const folder = await mkdtemp(join(tmpdir(), 'import-'));
    try {
      const [recipeFile, storeFolder] = [join(folder, 'recipe.json'), join(folder, 'store')];
      await writeFile(recipeFile, JSON.stringify(recipe));
      const words = ['import', path, '--recipe', recipeFile, '--name', 'imported', '--store', storeFolder];
      const of = ['--step', String(STEP), '--ema-rate', String(EMA_RATE), '--json'];
      const { exitCode, out, err } = await run([...words, ...of]);
      t.is(exitCode, 0, err);
      t.like(JSON.parse(out), { step: STEP, emaRates: [EMA_RATE], committed: true });

      const store = await openLocalStore({ folder: storeFolder });
      const wanted = { model: 'imported', step: STEP, weights: EMA_RATE };
      const { values } = await readWeights(store, wanted, new AbortController().signal);
      await store.close();
      const weights = new Map(
        parameterSpecs(config).map((spec) => [
          spec.name,
          toEngineLayout(spec, values.get(spec.name) ?? new Float32Array(0)),
        ]),
      );
      const [batchSize = 0] = golden.shape('x');
      const engine = await createCompiledEngine();
      const output = await withModule(engine, predictionModule(config, [batchSize]), async (module) => {
        await module.assign(weights);
        return module.run(`predict_${batchSize}`, {
          xT: golden.images('x'),
          t: Float32Array.from(golden.integers('t')),
          ...(golden.has('y') && { y: golden.integers('y') }),
        });
      });
      const reference = golden.images('output');
      const error =
        largest(difference(output['modelOutput'] ?? new Float32Array(0), reference)) / largest(reference);
      t.log(`largest error ${error.toExponential(1)} of the largest magnitude`);
      t.true(error <= TOLERANCE);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** The golden network of which a file has the weights, every one of them. */
async function networkWith(path: string): Promise<GoldenTensors | undefined> {
  return withFile(path, async (source) => {
    const file = await openTensorFile(source);
    const held = new Map<string, Float32Array>();
    for (const [name, { shape }] of file.tensors) {
      const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
      await file.read(name, values);
      held.set(name, values);
    }
    return goldenNames('unet_')
      .map((name) => new GoldenTensors(name))
      .find((golden) => {
        const weights = golden.parameters('weights/');
        return (
          weights.size === held.size &&
          [...weights].every(([name, values]) => String(held.get(name)) === String(values))
        );
      });
  });
}
