/** A process that measures one model: with the only engine of the command, so that the command answers Ctrl-C meanwhile. */

import { openDataset, type Dataset } from '../../../shared/dataset/index.js';
import { createEngine, overdueRun } from '../../../shared/engine/index.js';
import { measureExposure, type MeasureResult } from '../../../shared/exposure/index.js';
import { invalidArgument, isInteger, violation, deviceSettings } from '../../../shared/foundation/index.js';
import { parameterSpecs, predictFunction } from '../../../shared/model/index.js';
import { readEngineParameters } from '../../../shared/models/index.js';
import { connectToParent, failureOf } from '../../../shared/processes/index.js';
import { deriveKey, gaussian } from '../../../shared/random/index.js';
import { lossObjective, recipeProcess, unetConfig } from '../../../shared/recipe/index.js';
import { batchedRows, packRows, samplerPlan, splitRows } from '../../../shared/sampler/index.js';
import { storeFromSettings } from '../../../shared/store/index.js';
import {
  imageLikelihoods,
  likelihoodFunction,
  likelihoodResult,
  type LikelihoodConfig,
} from '../../../shared/training/index.js';
import { measuredImages } from './measured-images.js';
import { measureProtocol, type ExposureTask, type LikelihoodTask, type MeasureMessage } from './messages.js';

const BATCH_SIZE = 16;
/** Twice a pass, so that solvers compute while the network does. */
const IMAGES_IN_WORK = 2 * BATCH_SIZE;
const LEVEL = 0.95;

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
  const { dataset: config, cacheFolder, access, task } = message;
  const dataset = await openDataset(config, { cacheFolder, access });
  try {
    const results =
      task.kind === 'exposure'
        ? await exposure(message, task, dataset)
        : [await likelihood(message, task, dataset)];
    return { results, dataset: { count: dataset.length, sha256: dataset.manifest.sha256 } };
  } finally {
    await dataset.close();
  }
}

async function exposure(
  message: MeasureMessage,
  { sampler, ...asked }: ExposureTask,
  dataset: Dataset,
): Promise<MeasureResult[]> {
  const { source, images, seed } = message;
  const { recipe } = source;
  const architecture = unetConfig(recipe);
  const hasClasses = architecture.numClasses !== undefined;
  const { meanType, varianceType } = recipe.objective;
  const contract = { ...recipeProcess(recipe), meanType, varianceType, channels: recipe.dataset.channels };
  const loaded = await loadedModule(message, 'predict', predictFunction(architecture, BATCH_SIZE));
  const predict = batchedRows(async (rows) => {
    const { size, xT, t, y } = packRows(rows, [BATCH_SIZE]);
    const { modelOutput = new Float32Array(0) } = await loaded.run('predict', {
      xT,
      t,
      ...(hasClasses && { y }),
    });
    return splitRows(modelOutput, size, rows.length);
  }, BATCH_SIZE);
  const { label, ...data } = measuredImages(dataset, seed);
  return measureExposure({
    model: { contract, imageSize: recipe.dataset.imageSize, predict },
    data: { ...data, ...(hasClasses && label && { label }) },
    ...{ sampler, images, seed, width: IMAGES_IN_WORK, ...asked },
    onProgress: ({ measures, done, total }) => {
      progress(measures.join(', '), done, total);
    },
  });
}

async function likelihood(
  message: MeasureMessage,
  { steps: asked }: LikelihoodTask,
  dataset: Dataset,
): Promise<MeasureResult> {
  const { source, images, seed } = message;
  const { recipe } = source;
  if (!isInteger(images, 1, dataset.length))
    throw invalidArgument([violation('images', `an integer from 1 to ${dataset.length}`, images)]);
  const trained = recipeProcess(recipe);
  const steps = asked ?? trained.betas.length;
  const { meanType, varianceType } = recipe.objective;
  const sampler = { sampler: 'ancestral', steps } as const;
  const contract = { ...trained, meanType, varianceType, channels: recipe.dataset.channels };
  // A process that visits fewer timesteps has a bound of its own; all of them keep the trained one's numbers.
  const plan = asked === undefined ? undefined : samplerPlan(sampler, contract);
  if (plan !== undefined && meanType === 'previous_x')
    throw invalidArgument([violation('steps', 'no value for a network that predicts x_{t-1}', asked)]);
  const config: LikelihoodConfig = {
    architecture: unetConfig(recipe),
    objective: lossObjective(recipe),
    process: plan === undefined ? trained : { betas: plan.tables.betas, modelTimesteps: plan.modelTimesteps },
  };
  const loaded = await loadedModule(message, 'likelihood', likelihoodFunction(config, BATCH_SIZE));
  const { label, image } = measuredImages(dataset, seed);
  const length = recipe.dataset.imageSize ** 2 * recipe.dataset.channels;
  const each = imageLikelihoods((inputs) => loaded.run('likelihood', inputs), BATCH_SIZE, config, {
    count: images,
    image,
    label: config.architecture.numClasses === undefined ? undefined : (label ?? (() => -1)),
    noise: (index, step) => gaussian(deriveKey(seed, 'likelihood noise'), [index, step], length),
  });
  const timesteps = plan?.timestepMap ?? Int32Array.from({ length: steps }, (_, t) => t);
  const result = await likelihoodResult(config, timesteps, each, {
    bootstrap: { seed, level: LEVEL },
    onImage: (done) => {
      progress('likelihood', done, images);
    },
  });
  const help = 'bits per dimension of images by the full VLB, with its terms by timestep';
  const context = { seed: seed.toString(), steps, sampler, settings: {}, level: LEVEL };
  return { measure: 'likelihood', help, ...context, ...result };
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
    const engine = await createEngine(deviceSettings(process.env));
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
