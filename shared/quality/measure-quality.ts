/** How good a set of images is, against another one. */
import { DiffusionError, throwIfAborted } from '../foundation/index.js';
import { imageRow, imagesInRow, type ImageRow, type ImageShape } from '../images/index.js';
import { scaledMoments, type LinearAlgebra, type Moments, type Rows } from '../statistics/index.js';
import type { Extractor } from './extractor.js';
import { openFeatureSet, type FeatureRows, type FeatureSet } from './feature-set.js';
import { sizeOf, type ImageSet } from './image-set.js';
import type { Comparison, KnownFeatures, Measure, Measurement, Side } from './measure.js';
import { MEASURE_NAMES, MEASURES, type MeasureName } from './measures/index.js';
import type { StoredStatistics } from './stored-statistics.js';
import { warningsOf } from './warnings.js';

export interface QualityOptions {
  readonly algebra: LinearAlgebra;
  /** Where features are kept between runs. */
  readonly cacheFolder: string;
  /** Default: all. */
  readonly measures?: readonly MeasureName[] | undefined;
  /** What is drawn at random is drawn from it; default 0. */
  readonly seed?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: QualityProgress) => void) | undefined;
  /** Given the samples' statistics once they are there, to keep them. */
  readonly keepStatistics?: ((statistics: StoredStatistics) => Promise<void>) | undefined;
  /** Given those of the reference, where they were made here. */
  readonly keepReference?: ((statistics: StoredStatistics) => Promise<void>) | undefined;
}

export interface QualityProgress {
  /** As people read it: "features of the samples", "FID". */
  readonly stage: string;
  /** Of the stage, from 0 to 1. */
  readonly share: number;
}

/** One of the two sets that were compared. */
export interface MeasuredSet {
  readonly address: string;
  /** Undefined where the set has statistics only. */
  readonly images:
    | { readonly count: number; readonly width: number; readonly height: number; readonly sha256: string }
    | undefined;
  /** Whether mean and covariance are those in its file. */
  readonly storedStatistics: boolean;
}

export interface QualityResult {
  readonly extractor: { readonly name: string; readonly sha256: string; readonly columns: number };
  readonly samples: MeasuredSet;
  readonly reference: MeasuredSet;
  readonly seed: bigint;
  readonly measurements: readonly Measurement[];
  readonly notMeasured: readonly { readonly names: readonly string[]; readonly why: string }[];
  /** Sentences that belong beside the figures. */
  readonly warnings: readonly string[];
  /** The first images of both, to look at. */
  readonly pictures: { readonly samples: ImageRow | undefined; readonly reference: ImageRow | undefined };
}

/** What is known of a set once its features are there. */
interface OpenSide extends Side {
  readonly set: MeasuredSet;
  readonly features: FeatureSet | undefined;
}

/**
 * Compares two sets of images by the features of an extractor.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reasons IMAGES_DIFFER: the sets have images of different sizes,
 * STATISTICS_INVALID: a file's statistics have another number of columns), CANCELLED, what `openFeatureSet` throws.
 */
export async function measureQuality(
  samplesSet: ImageSet,
  referenceSet: ImageSet,
  extractor: Extractor,
  options: QualityOptions,
): Promise<QualityResult> {
  const { algebra, seed = 0n, signal, onProgress } = options;
  // Before features are extracted, which may take long.
  checkSizes(await samplesSet.images?.shape(), await referenceSet.images?.shape());
  const open: OpenSide[] = [];
  try {
    for (const [set, what] of [
      [samplesSet, 'the samples'],
      [referenceSet, 'the reference'],
    ] as const)
      open.push(await openSide(set, what, extractor, options));
    const [samples, reference] = open as [OpenSide, OpenSide];
    checkFit(samples, reference);
    await options.keepStatistics?.(statisticsOf(samples));
    if (referenceSet.statistics === undefined) await options.keepReference?.(statisticsOf(reference));
    const scales = extractor.scales?.(reference.pooled.moments);
    const comparison: Omit<Comparison, 'report'> = {
      samples: scaled(samples, scales),
      reference: scaled(reference, scales),
      ...{ extractor, algebra, seed },
    };
    const measurements: Measurement[] = [];
    const notMeasured: { names: readonly string[]; why: string }[] = [];
    for (const key of MEASURE_NAMES) {
      const measure: Measure = MEASURES[key];
      const names = measure.names(extractor.names);
      if (names.length === 0 || options.measures?.includes(key) === false) continue;
      const report = (share: number): void => {
        throwIfAborted(signal, 'measuring the quality of images');
        onProgress?.({ stage: names.join(', '), share });
      };
      report(0);
      const result = await measure.measure({ ...comparison, report });
      if ('why' in result) notMeasured.push({ names, why: result.why });
      else measurements.push(...result);
    }
    return {
      extractor: {
        name: extractor.name,
        sha256: extractor.hash,
        columns: reference.pooled.moments.mean.length,
      },
      ...{ samples: samples.set, reference: reference.set, seed, measurements, notMeasured },
      warnings: warningsOf(samples, reference, extractor),
      pictures: {
        samples: await firstRow(samplesSet, signal),
        reference: await firstRow(referenceSet, signal),
      },
    };
  } finally {
    for (const { features } of open) await features?.close();
  }
}

async function openSide(
  set: ImageSet,
  what: string,
  extractor: Extractor,
  { cacheFolder, algebra, signal, onProgress }: QualityOptions,
): Promise<OpenSide> {
  const { address, images, statistics } = set;
  const features =
    images &&
    (await openFeatureSet(set, images, extractor, {
      ...{ cacheFolder, algebra, signal },
      onProgress: (done, total) => onProgress?.({ stage: `features of ${what}`, share: done / total }),
    }));
  const pooled = knownFeatures(statistics?.pooled, features?.pooled);
  if (pooled === undefined) throw new Error(`${address} has neither images nor statistics`);
  return {
    pooled,
    spatial: knownFeatures(statistics?.spatial, features?.spatial),
    set: {
      address,
      images: features && {
        ...{ count: features.pooled.rows.count, width: features.shape.width, height: features.shape.height },
        sha256: features.imagesHash,
      },
      storedStatistics: statistics !== undefined && set.madeBy !== extractor.hash,
    },
    features,
  };
}

async function firstRow(
  { images }: ImageSet,
  signal: AbortSignal | undefined,
): Promise<ImageRow | undefined> {
  if (images === undefined) return undefined;
  const shape = { ...(await images.shape()), channels: 3 as const };
  const wanted = Math.min(imagesInRow(shape), images.count);
  const bytes = shape.width * shape.height * shape.channels;
  const found: Uint8Array[] = [];
  for await (const { count, pixels } of images.batches(wanted, signal)) {
    for (let i = 0; i < count && found.length < wanted; i++)
      found.push(pixels.slice(i * bytes, (i + 1) * bytes));
    if (found.length === wanted) break;
  }
  return imageRow(found, shape);
}

/** Whether measures look at the reference's images one by one; else its statistics are enough. */
export function needReferenceRows(measures: readonly MeasureName[]): boolean {
  const rows: Readonly<Record<MeasureName, Measure>> = MEASURES;
  return measures.some((name) => rows[name].needsReferenceRows === true);
}

function statisticsOf({ pooled, spatial }: Side): StoredStatistics {
  return { pooled: pooled.moments, spatial: spatial?.moments };
}

/** The statistics of a file stand for those of its images, as in the reference's evaluator. */
function knownFeatures(
  stored: Moments | undefined,
  extracted: FeatureRows | undefined,
): KnownFeatures | undefined {
  const moments = stored ?? extracted?.moments;
  return moments && { moments, rows: extracted?.rows };
}

function checkSizes(samples: ImageShape | undefined, reference: ImageShape | undefined): void {
  if (samples === undefined || reference === undefined || sizeOf(samples) === sizeOf(reference)) return;
  const text = `wanted samples and a reference of one size; got ${sizeOf(samples)} and ${sizeOf(reference)}`;
  throw new DiffusionError('IMAGES_DIFFER', text);
}

function checkFit(samples: OpenSide, reference: OpenSide): void {
  for (const { set, pooled, features } of [samples, reference])
    if (features !== undefined) checkColumns(set.address, 'mu', pooled, features.pooled);
  checkColumns(reference.set.address, 'mu', reference.pooled, samples.pooled);
  if (samples.spatial && reference.spatial)
    checkColumns(reference.set.address, 'mu_s', reference.spatial, samples.spatial);
}

type HasMoments = Pick<KnownFeatures, 'moments'>;

function checkColumns(address: string, name: string, found: HasMoments, wanted: HasMoments): void {
  const [columns, as] = [found.moments.mean.length, wanted.moments.mean.length];
  if (columns === as) return;
  const text = `${address}: wanted ${name} of ${as} columns, as the extractor has them; got ${columns}`;
  throw new DiffusionError('STATISTICS_INVALID', text);
}

function scaled(side: OpenSide, scales: Float64Array | undefined): Side {
  const { pooled, spatial } = side;
  if (scales === undefined) return { pooled, spatial };
  const { moments, rows } = pooled;
  return {
    pooled: { moments: scaledMoments(moments, scales), rows: rows && scaledRows(rows, scales) },
    spatial,
  };
}

function scaledRows({ count, columns, read }: Rows, scales: Float64Array): Rows {
  return {
    ...{ count, columns },
    read: async (first, some) =>
      (await read(first, some)).map((value, at) => value / (scales[at % columns] ?? 1)),
  };
}
