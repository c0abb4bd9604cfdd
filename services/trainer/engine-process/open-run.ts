/** Opens a run: data, engine, and the newest good checkpoint or a new network. */

import type { Manifest } from '../../../shared/checkpoint/index.js';
import { batches, holdOut, openDataset, startOfData, type Dataset } from '../../../shared/dataset/index.js';
import { createEngine, type EngineBuild } from '../../../shared/engine/index.js';
import { DiffusionError, deviceSettings } from '../../../shared/foundation/index.js';
import { initialParameters, type UNetConfig } from '../../../shared/model/index.js';
import { makeTimestepSampler } from '../../../shared/noise/index.js';
import {
  datasetConfig,
  lossObjective,
  microbatches,
  recipeProcess,
  unetConfig,
  type TrainingRecipe,
} from '../../../shared/recipe/index.js';
import {
  adoptSpilled,
  checkpointOf,
  listCommits,
  newestGoodCommit,
  ownSpilled,
  readObject,
  type CommittedCheckpoint,
  type DamagedCheckpoint,
  type Spill,
  type SpilledCommit,
} from '../../../shared/models/index.js';
import type { ObjectStore, OutageRetry } from '../../../shared/store/index.js';
import { readWarmStart } from '../warm-start.js';
import type { StartTraining } from './messages.js';
import { gridImages } from '../../../shared/training/index.js';
import { trainingModule } from '../../../shared/training/index.js';
import {
  decodeObjects,
  initialise,
  restore,
  type Counters,
  type DecodedCheckpoint,
  type RunTensors,
} from './training-state.js';
import type { TrainingRun } from '../../../shared/training/index.js';

export interface Run extends RunTensors, TrainingRun {
  readonly build: EngineBuild;
  /** The whole data set. */
  readonly dataset: Dataset;
  /** The part that is never trained on. */
  readonly heldOut: Dataset;
  readonly counters: Counters;
  /** The checkpoint that the run resumes from. */
  readonly resumed: Resumed | undefined;
  /** Newer checkpoints that could not be used. */
  readonly damaged: readonly DamagedCheckpoint[];
  /** The newest checkpoint in the store; 0 where there is none. */
  readonly committedStep: number;
  /** Commits that wait in the spill, as this attempt's. */
  readonly waiting: readonly SpilledCommit[];
}

export interface Resumed {
  readonly step: number;
  readonly sizeBytes: number;
  readonly manifest: Manifest<TrainingRecipe>;
}

interface Loaded extends Resumed {
  readonly decoded: DecodedCheckpoint;
}

export interface OpenRunOptions {
  /** Repeats reads of the data set that fail by an outage; default: a few tries. */
  readonly retryOutage?: OutageRetry;
  /** Where commits of earlier attempts may wait. */
  readonly spill?: Spill | undefined;
}

/**
 * @throws DiffusionError with a reason of `failure.ts`; CANCELLED by the signal.
 */
export async function openRun(
  start: StartTraining,
  store: ObjectStore,
  signal: AbortSignal,
  options: OpenRunOptions = {},
): Promise<Run> {
  const { recipe, fileAccess: access, cacheFolder } = start;
  const { retryOutage } = options;
  const dataset = await openDataset(datasetConfig(recipe), { cacheFolder, access, retryOutage, signal });
  try {
    return await openOn(dataset, start, store, signal, options);
  } catch (error) {
    await dataset.close();
    throw error;
  }
}

async function openOn(
  dataset: Dataset,
  { jobId, attempt, committedStep, recipe }: StartTraining,
  store: ObjectStore,
  signal: AbortSignal,
  { spill }: OpenRunOptions,
): Promise<Run> {
  checkClasses(recipe, dataset);
  const { training: trainedOn, heldOut } = holdOut(dataset, recipe.evaluation.images);
  const engine = await createEngine(deviceSettings());
  const architecture = unetConfig(recipe);
  const { passes, batchSize } = microbatches(recipe);
  const { ema, objective, optimizer, training } = recipe;
  const trained = recipeProcess(recipe);
  const seed = BigInt(training.seed);
  const emaRates = ema.rates;
  // Sample grids and evaluations both need predictions.
  const isAsked = training.sampleEverySteps > 0 || recipe.evaluation.everySteps > 0;
  const loaded = await engine.load(
    trainingModule({
      architecture,
      objective: lossObjective(recipe),
      l2Penalty: optimizer.l2Penalty,
      ...trained,
      emaRates,
      optimizer,
      batchSize,
      accumulationSteps: passes,
      precision: training.precision,
      gradientCheckpointing: training.gradientCheckpointing,
      predictBatchSizes: isAsked ? [gridImages(recipe.dataset.imageSize)] : [],
    }),
  );
  const timestepSampler = makeTimestepSampler(objective.timestepSampler, trained.betas.length, seed);
  const tensors: RunTensors = { architecture, emaRates, loaded, timestepSampler };

  const claim = { job: jobId, attempt, lastStep: training.steps };
  const folder = (await spill?.isThere()) === true ? await spill?.open() : undefined;
  const own = folder ? await ownSpilled(folder, claim) : [];
  // The store may be unavailable still, and isn't needed: nothing in it can be newer.
  const goesOn = own.length > 0;
  const { waiting } =
    folder && !goesOn ? await adoptSpilled(store, folder, claim, { signal }) : { waiting: own };
  const standing = goesOn ? committedStep : ((await listCommits(store, jobId, { signal })).at(-1) ?? 0);
  const isAhead = goesOn || (waiting.at(-1)?.step ?? 0) > standing;
  const source = (isAhead ? folder : undefined) ?? store;
  const { found, damaged } = await newestGoodCommit(
    source,
    jobId,
    (checkpoint) => loadCheckpoint(source, checkpoint, tensors, dataset),
    { signal },
  );
  const resumed = found?.value;
  if (resumed === undefined && damaged.length > 0) throw unreadable(damaged);
  if (resumed === undefined) await initialise(tensors, await firstParameters(recipe, store, architecture));
  else await restore(tensors, resumed.decoded);
  const counters =
    resumed === undefined ? { step: 0, samplesSeen: 0, position: startOfData } : countersOf(resumed.manifest);
  const { randomFlip } = recipe.dataset;
  const data = batches(trainedOn, { batchSize, seed, position: counters.position, randomFlip });
  return {
    ...tensors,
    recipe,
    build: engine.build,
    dataset,
    heldOut,
    data,
    counters,
    resumed: withoutTensors(resumed),
    damaged,
    committedStep: isAhead ? standing : (resumed?.step ?? 0),
    waiting,
  };
}

/** Training doesn't start again at step 0 without being asked to. */
function unreadable(damaged: readonly DamagedCheckpoint[]): DiffusionError {
  const [newest] = damaged;
  const text = `none of the job's ${damaged.length} checkpoints can be read; the newest, of step ${newest?.step ?? 0}: ${newest?.error.message ?? ''}`;
  return new DiffusionError('CHECKPOINT_UNREADABLE', text, { cause: newest?.error });
}

/** Why a resumed run differs from an uninterrupted one in its last bits; undefined where it does not. */
export function inexactness(resumed: Resumed, build: EngineBuild): string | undefined {
  const { engine } = resumed.manifest;
  if (engine === undefined) return 'not exact: the engine that made the checkpoint is not known';
  const now = manifestEngine(build);
  const differing = (['name', 'version', 'build', 'platform', 'threads'] as const).filter(
    (key) => engine[key] !== now[key],
  );
  if (differing.length === 0) return undefined;
  return `not exact: ${differing.map((key) => `${key} was ${engine[key]}, now ${now[key]}`).join('; ')}`;
}

/** The engine as manifests name it. */
export function manifestEngine({
  name,
  version,
  library,
  platform,
  threads,
}: EngineBuild): NonNullable<Manifest<unknown>['engine']> {
  return { name, version, build: library, platform, threads };
}

function withoutTensors(loaded: Loaded | undefined): Resumed | undefined {
  return loaded && { step: loaded.step, sizeBytes: loaded.sizeBytes, manifest: loaded.manifest };
}

function countersOf({ counters }: Manifest<TrainingRecipe>): Counters {
  const { step, samplesSeen, epoch, position } = counters;
  return { step, samplesSeen, position: { epoch, offset: position } };
}

/** What a run begins with, in PyTorch's layout. */
async function firstParameters(
  recipe: TrainingRecipe,
  store: ObjectStore,
  architecture: UNetConfig,
): Promise<ReadonlyMap<string, Float32Array>> {
  const { warmStart, training } = recipe;
  if (warmStart === undefined) return initialParameters(architecture, BigInt(training.seed));
  return readWarmStart(store, recipe, warmStart);
}

async function loadCheckpoint(
  store: ObjectStore,
  checkpoint: CommittedCheckpoint,
  tensors: RunTensors,
  dataset: Dataset,
): Promise<Loaded> {
  const { manifest } = understood(checkpoint.step, () => checkpointOf(checkpoint));
  if (manifest.imported !== undefined) {
    throw new DiffusionError(
      'CHECKPOINT_IMPORTED',
      'an imported checkpoint has no optimizer state to resume from; start a new job from it with warm_start',
    );
  }
  if (manifest.datasetManifestSha256 !== dataset.manifest.sha256) {
    throw new DiffusionError(
      'DATASET_CHANGED',
      `wanted the data set with sha256 ${manifest.datasetManifestSha256 ?? 'unknown'}, as before; got ${dataset.manifest.sha256}`,
    );
  }
  const objects = new Map<string, Uint8Array>();
  for (const object of manifest.objects)
    objects.set(object.name, await readObject(store, checkpoint, object));
  const sizeBytes = manifest.objects.reduce((sum, { size }) => sum + size, checkpoint.manifest.length);
  const decoded = understood(checkpoint.step, () => decodeObjects(tensors, objects));
  return { step: checkpoint.step, sizeBytes, manifest, decoded };
}

/**
 * What is read from bytes that match their hashes. Where this build can't read them, they are not damaged but perhaps a
 * newer build's: then the run must not fall back and commit over them. Values that aren't finite are damage of another kind.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason MANIFEST_VERSION).
 */
function understood<T>(step: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'DATA_LOSS' || error.reason === 'NOT_FINITE')
      throw error;
    const text = `the checkpoint of step ${step} is whole, but this build can't read it (${error.message}); resume the job with the build that wrote it, or delete that checkpoint`;
    throw new DiffusionError('MANIFEST_VERSION', text, { cause: error });
  }
}

function checkClasses({ architecture }: TrainingRecipe, { manifest }: Dataset): void {
  const { numClasses } = architecture;
  if (numClasses === 0 || manifest.classNames.length === numClasses) return;
  throw new DiffusionError(
    'DATASET_INVALID',
    `wanted ${numClasses} classes, as architecture.numClasses says; got ${manifest.classNames.length}`,
  );
}
