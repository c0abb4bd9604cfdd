/** A process that measures one model: with the only engine of the command, so that the command answers Ctrl-C meanwhile. */

import { openDataset } from '../../../shared/dataset/index.js';
import { createEngine, overdueRun } from '../../../shared/engine/index.js';
import { deviceSettings } from '../../../shared/foundation/index.js';
import { exposureOf, imagesToMeasure, likelihoodOf } from '../../../shared/measuring/index.js';
import { parameterSpecs, predictFunction } from '../../../shared/model/index.js';
import { readEngineParameters } from '../../../shared/models/index.js';
import { connectToParent, failureOf } from '../../../shared/processes/index.js';
import { unetConfig } from '../../../shared/recipe/index.js';
import { batchedRows, packRows, splitRows, type Predict } from '../../../shared/sampler/index.js';
import { storeFromSettings } from '../../../shared/store/index.js';
import { likelihoodFunction, type LikelihoodConfig } from '../../../shared/training/index.js';
import { measureProtocol, type MeasureMessage } from './messages.js';

const BATCH_SIZE = 16;

const port = connectToParent(
  measureProtocol,
  (message) => {
    measure(message).then(
      (measured) => {
        port.send({ kind: 'measured', ...measured });
      },
      (error: unknown) => {
        port.send({ kind: 'failed', failure: failureOf(error) });
      },
    );
  },
  overdueRun,
);

async function measure(message: MeasureMessage) {
  progress('reading the images', 0, 0);
  const { dataset: config, cacheFolder, access, task, source, seed } = message;
  const { recipe } = source;
  const dataset = await openDataset(config, { cacheFolder, access });
  const images = imagesToMeasure(task.kind, message.images, dataset.length);
  const options = { images, seed, onProgress: progress };
  try {
    const results =
      task.kind === 'exposure'
        ? await exposureOf(recipe, await predictor(message), task, dataset, options)
        : [
            await likelihoodOf(
              recipe,
              task,
              dataset,
              (config) => likelihoods(message, config),
              BATCH_SIZE,
              options,
            ),
          ];
    return { results, images, dataset: { count: dataset.length, sha256: dataset.manifest.sha256 } };
  } finally {
    await dataset.close();
  }
}

async function predictor(message: MeasureMessage): Promise<Predict> {
  const architecture = unetConfig(message.source.recipe);
  const loaded = await loadedModule(message, 'predict', predictFunction(architecture, BATCH_SIZE));
  return batchedRows(async (rows) => {
    const { size, xT, t, y } = packRows(rows, [BATCH_SIZE]);
    const labels = architecture.numClasses === undefined ? {} : { y };
    const { modelOutput = new Float32Array(0) } = await loaded.run('predict', { xT, t, ...labels });
    return splitRows(modelOutput, size, rows.length);
  }, BATCH_SIZE);
}

async function likelihoods(message: MeasureMessage, config: LikelihoodConfig) {
  const loaded = await loadedModule(message, 'likelihood', likelihoodFunction(config, BATCH_SIZE));
  return (inputs: Parameters<typeof loaded.run>[1]) => loaded.run('likelihood', inputs);
}

/** The network's weights, verified, in a module of one function. */
async function loadedModule(
  { store: settings, source, precision }: MeasureMessage,
  name: string,
  body: ReturnType<typeof predictFunction>,
) {
  progress('loading the weights', 0, 0);
  const store = await storeFromSettings(settings);
  try {
    const weights = await readEngineParameters(store, source);
    const variables = parameterSpecs(unetConfig(source.recipe)).map((spec) => ({
      name: spec.name,
      shape: spec.engineShape,
      fixed: true,
    }));
    const engine = await createEngine(deviceSettings());
    const loaded = await engine.load({ precision, variables, functions: { [name]: body } });
    await loaded.assign(weights);
    return loaded;
  } finally {
    await store.close();
  }
}

function progress(label: string, done: number, total: number): void {
  port.send({ kind: 'progress', label, done, total });
}
