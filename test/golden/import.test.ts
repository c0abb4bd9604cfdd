/** The reference's own checkpoint file, imported, is the network that it computed with. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { readWeights } from '../../services/cli/convert/read-weights.js';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { createCompiledEngine } from '../../shared/engine/index.js';
import { parameterSpecs, toEngineLayout } from '../../shared/model/index.js';
import type { PartialRecipe } from '../../shared/recipe/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { run } from '../cli/sinks.js';
import { goldenDir, goldenNames } from './golden.js';
import { difference, GoldenTensors, largest, unetConfigOf, withModule } from './reference.js';

const TOLERANCE = 1e-5;
const [checkpoint] = goldenNames('reference_ema_');
// 1.4 MB that the committed set does without: it has the same weights as safetensors.
const testWithFile = checkpoint === undefined ? test.skip : test;

testWithFile('a checkpoint of the reference imports, and gives its output', async (t) => {
  const golden = new GoldenTensors('unet_adm.safetensors');
  const config = unetConfigOf(golden);
  const { imageSize, inChannels, outChannels, numClasses, ...architecture } = config;
  t.is(outChannels, 2 * inChannels);
  t.is(numClasses, undefined);
  const recipe = { preset: 'cifar10-32', dataset: { imageSize }, architecture } as PartialRecipe;
  const folder = await mkdtemp(join(tmpdir(), 'import-'));
  try {
    const [recipeFile, storeFolder] = [join(folder, 'recipe.json'), join(folder, 'store')];
    await writeFile(recipeFile, JSON.stringify(recipe));
    const file = join(goldenDir(), checkpoint ?? '');
    const words = ['import', file, '--recipe', recipeFile, '--name', 'adm', '--store', storeFolder, '--json'];
    const { exitCode, out, err } = await run(words);
    t.is(exitCode, 0, err);
    t.like(JSON.parse(out), { step: 3, emaRates: [0.9999], committed: true });

    const store = await openLocalStore({ folder: storeFolder });
    const wanted = { model: 'adm', step: 3, weights: 0.9999 };
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
      const inputs = { xT: golden.images('x'), t: Float32Array.from(golden.integers('t')) };
      return module.run(`predict_${batchSize}`, inputs);
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
