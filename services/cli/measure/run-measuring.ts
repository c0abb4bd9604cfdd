/** From a model's name to results: a child process measures, and this one shows how far it is. */

import {
  sourceAt,
  describeSource,
  type DatasetConfig,
  type SourceKindName,
} from '../../../shared/dataset/index.js';
import type { MeasureResult } from '../../../shared/exposure/index.js';
import {
  datasetCacheFolder,
  engineEnvironment,
  ENGINE_SETTINGS,
  environmentReader,
} from '../../../shared/foundation/index.js';
import { buildOf, type MeasurementContract } from '../../../shared/measuring/index.js';
import {
  chooseWeights,
  newestCheckpoint,
  readCheckpoint,
  type Checkpoint,
} from '../../../shared/models/index.js';
import { askChild, siblingModule } from '../../../shared/processes/index.js';
import {
  datasetConfig,
  type Precision,
  type TrainingRecipe,
  type WeightsChoice,
} from '../../../shared/recipe/index.js';
import { fileAccess, STORE_VARIABLE, storeSettings, type ObjectStore } from '../../../shared/store/index.js';
import type { Context } from '../command.js';
import { withStore } from '../convert/open-store.js';
import { formatCount } from '../format.js';
import { measureProtocol, type FromMeasuring, type MeasureMessage } from './messages.js';
import { stageProgress } from './stage-progress.js';

export interface MeasuredWith {
  readonly model: string;
  readonly checkpoint: number | undefined;
  readonly weights: WeightsChoice | undefined;
  readonly precision: Precision;
  /** The address of images; those that the model was trained on where undefined. */
  readonly data: string | undefined;
  readonly dataKind: SourceKindName | undefined;
  readonly store: string | undefined;
  /** 0 for the default. */
  readonly images: number;
  readonly seed: bigint;
}

export interface Measured {
  readonly results: readonly MeasureResult[];
  /** What they are of: all that is needed to compare them. */
  readonly contract: MeasurementContract;
}

/**
 * @throws DiffusionError NOT_FOUND for a model, a checkpoint or images that aren't there; INVALID_ARGUMENT naming fields of
 * the task; DATA_LOSS for damaged weights; what the data set throws; the signal's reason.
 */
export async function runMeasuring(
  task: MeasureMessage['task'],
  asked: MeasuredWith,
  context: Context,
): Promise<Measured> {
  const { settings, signal } = context;
  const { environment } = settings;
  const found = await withStore(asked.store, settings, (store) => sourceOf(store, asked, signal));
  const dataset = datasetOf(found.recipe, asked);
  const named = {
    ...environment,
    ...(asked.store !== undefined && { [STORE_VARIABLE]: asked.store }),
  };
  const message: MeasureMessage = {
    ...{ kind: 'measure', task, dataset, source: found.source, precision: asked.precision },
    ...{
      store: storeSettings(named),
      access: fileAccess(environment),
      cacheFolder: datasetCacheFolder(environment),
    },
    ...{ images: asked.images, seed: asked.seed },
  };
  const beganMs = context.clock.monotonicMs();
  const { results, images, dataset: measured } = await measureInChild(message, context);
  const { manifest, weights, object } = found;
  return {
    results,
    contract: {
      kind: task.kind,
      model: {
        ...{ name: asked.model, checkpointStep: manifest.step, manifestSha256: found.manifestSha256 },
        ...{ weights, weightsSha256: object.sha256, precision: asked.precision },
        ...{ variant: found.recipe.variant, gamma: manifest.gamma },
      },
      ...(task.kind === 'exposure' && { sampler: task.sampler }),
      steps: results[0]?.steps ?? 0,
      ...{ images, seed: asked.seed.toString() },
      data: { address: describeSource(dataset.source), images: measured.count, sha256: measured.sha256 },
      build: buildOf(),
      seconds: (context.clock.monotonicMs() - beganMs) / 1000,
    },
  };
}

async function sourceOf(
  store: ObjectStore,
  { model, checkpoint, weights: asked }: MeasuredWith,
  signal: AbortSignal,
) {
  const choose = ({ commit, manifest, manifestSha256 }: Checkpoint) => {
    const { weights, object } = chooseWeights(manifest, asked, '--weights');
    const { recipe } = manifest;
    return { manifest, manifestSha256, recipe, weights, object, source: { commit, object, recipe } };
  };
  if (checkpoint === undefined) return newestCheckpoint(store, model, choose, { signal });
  return choose(await readCheckpoint(store, model, checkpoint, { signal }));
}

function datasetOf(recipe: TrainingRecipe, { data, dataKind }: MeasuredWith): DatasetConfig {
  if (data === undefined) return datasetConfig(recipe);
  const { imageSize, channels } = recipe.dataset;
  const classes = recipe.architecture.numClasses > 0;
  return { source: sourceAt(data, { kind: dataKind, classes }), imageSize, channels };
}

async function measureInChild(
  message: MeasureMessage,
  context: Context,
): Promise<Extract<FromMeasuring, { kind: 'measured' }>> {
  const {
    settings: { environment },
    clock,
    signal,
  } = context;
  const progress = stageProgress(context);
  try {
    return await askChild({
      module: siblingModule(import.meta.url, './measure-process'),
      protocol: measureProtocol,
      environment: engineEnvironment(environment),
      heartbeatTimeoutMs: environmentReader(environment).value(ENGINE_SETTINGS.engineHeartbeatTimeoutMs),
      clock,
      request: message,
      what: 'measuring',
      onProgress: ({ label, done, total }) => {
        if (total === 0) progress.update(label, undefined);
        else progress.update(label, done / total, [`image ${formatCount(done)}/${formatCount(total)}`]);
      },
      signal,
    });
  } finally {
    progress.end();
  }
}
