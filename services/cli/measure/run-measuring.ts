/** From a model's name to results: a child process measures, and this one shows how far it is. */

import { join, resolve } from 'node:path';

import { describeWeights } from '../../../shared/checkpoint/index.js';
import {
  sourceAt,
  describeSource,
  type DatasetConfig,
  type SourceKindName,
} from '../../../shared/dataset/index.js';
import type { MeasureResult } from '../../../shared/exposure/index.js';
import {
  cacheFolder,
  engineEnvironment,
  ENGINE_SETTINGS,
  environmentReader,
} from '../../../shared/foundation/index.js';
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
import { TRAINER_OWN } from '../../trainer/settings.js';
import type { Context } from '../command.js';
import { withStore } from '../convert/open-store.js';
import { formatCount } from '../format.js';
import { measureProtocol, type FromMeasuring, type MeasureMessage } from './messages.js';

export interface MeasuredWith {
  readonly model: string;
  readonly checkpoint: number | undefined;
  readonly weights: WeightsChoice | undefined;
  readonly precision: Precision;
  /** The address of images; those that the model was trained on where undefined. */
  readonly data: string | undefined;
  readonly dataKind: SourceKindName | undefined;
  readonly store: string | undefined;
  readonly images: number;
  readonly seed: bigint;
}

export interface Measured {
  readonly results: readonly MeasureResult[];
  /** What was measured, each with its name: all that is needed to compare it. */
  readonly facts: readonly (readonly [name: string, value: string])[];
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
  const reader = environmentReader(environment);
  const cache = reader.value(TRAINER_OWN.datasetCache) ?? join(cacheFolder(environment), 'datasets');
  const message: MeasureMessage = {
    ...{ kind: 'measure', task, dataset, source: found.source, precision: asked.precision },
    ...{ store: storeSettings(named), access: fileAccess(environment), cacheFolder: resolve(cache) },
    ...{ images: asked.images, seed: asked.seed },
  };
  const { results, dataset: images } = await measureInChild(message, context);
  const { manifest, weights, object } = found;
  return {
    results,
    facts: [
      ['model', asked.model],
      ['checkpoint', `step ${formatCount(manifest.step)}`],
      ['weights', `${describeWeights(weights)}, SHA-256 ${object.sha256}`],
      ['manifest', found.manifestSha256],
      ['trained with', `${found.recipe.variant}, gamma ${manifest.gamma}`],
      ['precision', asked.precision],
      [
        'images',
        `${describeSource(dataset.source)}, ${formatCount(images.count)} images, SHA-256 ${images.sha256}`,
      ],
      ['seed', asked.seed.toString()],
      ['build', `Node ${process.version}`],
    ],
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
  { settings: { environment }, clock, signal, terminal }: Context,
): Promise<Extract<FromMeasuring, { kind: 'measured' }>> {
  const progress = terminal.progress();
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
        const share = total === 0 ? {} : { share: done / total };
        const facts = total === 0 ? [] : [`image ${formatCount(done)}/${formatCount(total)}`];
        progress.update({ label, ...share, facts });
      },
      signal,
    });
  } finally {
    progress.end();
  }
}
