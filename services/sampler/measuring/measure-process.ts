/**
 * A process that measures: it reads images, walks solvers, extracts features and computes statistics, all at a low priority
 * of the operating system. For each row of the network it asks the service, whose engines serve all calls.
 */

import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { dirname } from 'node:path';

import { openDataset } from '../../../shared/dataset/index.js';
import { createCompiledEngine, openLinearAlgebra, overdueRun } from '../../../shared/engine/index.js';
import type { MeasureResult } from '../../../shared/exposure/index.js';
import { deferred, DiffusionError, type Deferred } from '../../../shared/foundation/index.js';
import {
  DEFAULT_IMAGES,
  imagesToMeasure,
  contractOf,
  datasetAsSet,
  exposureOf,
  likelihoodOf,
  qualityAsResult,
  qualityOf,
  sampledSet,
  sampleInto,
  termsOfPredictions,
  type MeasuringOptions,
} from '../../../shared/measuring/index.js';
import { connectToParent, failureOf } from '../../../shared/processes/index.js';
import {
  MEASURE_NAMES,
  needReferenceRows,
  openExtractor,
  openImageSet,
  writeStatistics,
  type ImageSet,
  type StoredStatistics,
} from '../../../shared/quality/index.js';
import { samplerPlan, type Predict } from '../../../shared/sampler/index.js';
import { predictedLikelihoodFunction, type LikelihoodConfig } from '../../../shared/training/index.js';
import { measuringProtocol, type MeasureMessage } from './messages.js';

type TaskOf<Kind> = Extract<MeasureMessage['task'], { readonly kind: Kind }>;

const BATCH_SIZE = 16;

// Before any thread is made: those of TensorFlow inherit it.
setPriority(constants.priority.PRIORITY_LOW);

const rows = new Map<number, Deferred<Float32Array>>();
const proceeding = deferred();
const statistics = deferred<Uint8Array | undefined>();
let lastId = 0;

const port = connectToParent(
  measuringProtocol,
  (message) => {
    switch (message.kind) {
      case 'measure':
        measure(message).then(
          (measured) => {
            port.send({ kind: 'measured', ...measured });
          },
          (error: unknown) => {
            port.send({ kind: 'failed', failure: failureOf(error) });
          },
        );
        return;
      case 'proceed':
        proceeding.resolve();
        return;
      case 'statistics':
        statistics.resolve(message.bytes);
        return;
      case 'predicted':
        rows.get(message.id)?.resolve(message.output);
        rows.delete(message.id);
        return;
      case 'refused': {
        const { reason, message: text, violations, metadata } = message.failure;
        rows.get(message.id)?.reject(new DiffusionError(reason, text, { violations, metadata }));
        rows.delete(message.id);
      }
    }
  },
  overdueRun,
);

const predict: Predict = ({ xT, t, y }) => {
  const answer = deferred<Float32Array>();
  const id = ++lastId;
  rows.set(id, answer);
  port.send({ kind: 'row', id, xT, t, y });
  return answer.promise;
};

function onProgress(stage: string, done: number, total: number): void {
  port.send({ kind: 'progress', stage, done, total });
}

interface Measured {
  readonly results: readonly MeasureResult[];
  /** Of the extractor. */
  readonly features: number;
}

function measure(message: MeasureMessage): Promise<Measured> {
  const { task, recipe } = message;
  onProgress('reading the images', 0, 0);
  switch (task.kind) {
    case 'exposure':
      return onDataset(message, task.kind, (dataset, options) =>
        exposureOf(recipe, predict, task, dataset, options),
      );
    case 'likelihood':
      return onDataset(message, task.kind, async (dataset, options) => [
        await likelihoodOf(recipe, task, dataset, loadTerms, BATCH_SIZE, options),
      ]);
    case 'quality':
      return quality(message, task);
  }
}

async function onDataset(
  { data, access, datasetCache, images: asked, seed }: MeasureMessage,
  kind: 'exposure' | 'likelihood',
  use: (
    dataset: Awaited<ReturnType<typeof openDataset>>,
    options: MeasuringOptions,
  ) => Promise<MeasureResult[]>,
): Promise<Measured> {
  if (data.kind !== 'dataset') throw new Error(`wanted a data set; got a set at ${data.address}`);
  const dataset = await openDataset(data.config, { cacheFolder: datasetCache, access });
  try {
    const { source } = data.config;
    const address = 'path' in source && typeof source.path === 'string' ? source.path : source.kind;
    const images = imagesToMeasure(kind, asked, dataset.length);
    port.send({
      kind: 'inputs',
      data: { address, images: dataset.length, sha256: dataset.manifest.sha256 },
      images,
    });
    await proceeding.promise;
    return { results: await use(dataset, { images, seed, onProgress }), features: 0 };
  } finally {
    await dataset.close();
  }
}

/** The terms of the bound, from outputs of the service's network. */
async function loadTerms(config: LikelihoodConfig) {
  // On the processor, whatever the network runs on: the terms are a few operations.
  const engine = await createCompiledEngine();
  const functions = { terms: predictedLikelihoodFunction(config, BATCH_SIZE) };
  const loaded = await engine.load({ variables: [], functions });
  return termsOfPredictions(predict, (inputs) => loaded.run('terms', inputs), config);
}

async function quality(message: MeasureMessage, task: TaskOf<'quality'>): Promise<Measured> {
  const { cacheFolder, recipe, samplesPath, seed } = message;
  const images = message.images || DEFAULT_IMAGES.quality;
  const options: MeasuringOptions = { images, seed, onProgress };
  const algebra = await openLinearAlgebra();
  const extractor = await openExtractor(task.extractor, { algebra, cacheFolder });
  const reference = await referenceOf(message);
  try {
    port.send({
      kind: 'inputs',
      data: {
        address: reference.address,
        images: reference.images?.count ?? 0,
        sha256: await reference.fingerprint(),
      },
      images,
      extractor: { name: extractor.name, sha256: extractor.hash, features: 0 },
    });
    await refuseOtherSize(reference, recipe.dataset.imageSize);
    await proceeding.promise;
    const { compared, keepReference } = await withStatistics(reference, extractor.hash, task, samplesPath);
    const samples = sampledSet(await sampleInto(samplesPath, recipe, task.sampler, predict, options));
    const found = await qualityOf(samples, compared, extractor, task, {
      ...{ seed, onProgress, algebra, cacheFolder, keepReference },
    });
    const { sampler } = task;
    const { steps } = samplerPlan(sampler, contractOf(recipe));
    const result = qualityAsResult(found, { sampler, steps });
    return { results: [result], features: found.extractor.columns };
  } finally {
    await reference.close();
    extractor.close();
  }
}

/**
 * The reference with statistics that the store has, where these are enough; and what keeps those that are made here. The
 * samples' path tells where files may be for a moment.
 */
async function withStatistics(
  reference: ImageSet,
  extractorHash: string,
  { measures = MEASURE_NAMES }: TaskOf<'quality'>,
  samplesPath: string,
) {
  if (reference.statistics !== undefined) return { compared: reference, keepReference: undefined };
  const key = createHash('sha256').update(JSON.stringify([extractorHash, await reference.fingerprint()]));
  const sha256 = key.digest('hex');
  const path = `${samplesPath}.statistics.npz`;
  await mkdir(dirname(path), { recursive: true });
  try {
    port.send({ kind: 'find-statistics', sha256 });
    const bytes = await statistics.promise;
    if (bytes !== undefined) {
      // Made already, and of no use where images are looked at one by one.
      if (needReferenceRows(measures)) return { compared: reference, keepReference: undefined };
      await writeFile(path, bytes);
      const { statistics: known } = await openImageSet(path);
      const compared = { ...reference, images: undefined, statistics: known, madeBy: extractorHash };
      return { compared, keepReference: undefined };
    }
    const keepReference = async (made: StoredStatistics): Promise<void> => {
      await writeStatistics(path, made);
      port.send({ kind: 'keep-statistics', sha256, bytes: await readFile(path) });
      await rm(path, { force: true });
    };
    return { compared: reference, keepReference };
  } finally {
    await rm(path, { force: true });
  }
}

async function referenceOf({ data, access, datasetCache }: MeasureMessage): Promise<ImageSet> {
  if (data.kind === 'set') return openImageSet(data.address, { access });
  return datasetAsSet(await openDataset(data.config, { cacheFolder: datasetCache, access }));
}

/** Before images are sampled, which may take hours. */
async function refuseOtherSize({ images, address }: ImageSet, size: number): Promise<void> {
  const shape = await images?.shape();
  if (shape === undefined || (shape.width === size && shape.height === size)) return;
  const text = `${address}: wanted a reference of ${size}x${size}, as the model samples; got ${shape.width}x${shape.height}`;
  throw new DiffusionError('IMAGES_DIFFER', text);
}
