/** Sampled images against a reference, as a measure's result: numbers with intervals, and figures of them. */

import type { Dataset } from '../dataset/index.js';
import { namedRow, type Figure, type Finding, type MeasureResult } from '../exposure/index.js';
import {
  measureQuality,
  type Extractor,
  type ImageSet,
  type Measurement,
  type QualityResult,
  type StoredStatistics,
} from '../quality/index.js';
import type { LinearAlgebra } from '../statistics/index.js';
import { coloured } from './sampled-images.js';
import { LEVEL, type MeasuringOptions, type QualityTask } from './task.js';

/** Of a normal distribution: the interval at `LEVEL` is so many standard errors wide on either side. */
const STANDARD_ERRORS = 1.96;

export interface QualityOptions extends Pick<MeasuringOptions, 'seed' | 'signal' | 'onProgress'> {
  readonly algebra: LinearAlgebra;
  /** Where features are kept between runs. */
  readonly cacheFolder: string;
  /** As `measureQuality` takes it. */
  readonly keepReference?: ((statistics: StoredStatistics) => Promise<void>) | undefined;
}

/** @throws as `measureQuality`. */
export async function qualityOf(
  samples: ImageSet,
  reference: ImageSet,
  extractor: Extractor,
  { measures }: Pick<QualityTask, 'measures'>,
  { onProgress, ...options }: QualityOptions,
): Promise<QualityResult> {
  return measureQuality(samples, reference, extractor, {
    ...options,
    measures,
    onProgress: ({ stage, share }) => {
      onProgress(stage, Math.round(1000 * share), 1000);
    },
  });
}

/** The images of a data set as they are trained on, in its order. */
export function datasetAsSet(dataset: Dataset): ImageSet {
  const { length, imageShape, manifest } = dataset;
  return {
    address: "the data set of the model's recipe",
    fingerprint: () => Promise.resolve(manifest.sha256),
    images: {
      count: length,
      shape: () => Promise.resolve({ ...imageShape, channels: 3 }),
      batches: async function* (size) {
        for (let first = 0; first < length; first += size) {
          const some = Math.min(size, length - first);
          const pixels = await dataset.read(Array.from({ length: some }, (_, i) => first + i));
          yield { count: some, shape: { ...imageShape, channels: 3 }, pixels: coloured(pixels, imageShape) };
        }
      },
    },
    statistics: undefined,
    close: () => dataset.close(),
  };
}

/** The result in the form that all measures have. @param steps Of the sampler; 0 where images were given. */
export function qualityAsResult(
  { samples, measurements, notMeasured, warnings, seed, pictures }: QualityResult,
  { steps, sampler }: Pick<MeasureResult, 'steps' | 'sampler'>,
): MeasureResult {
  return {
    measure: 'quality',
    help: 'how good images are against a reference',
    ...{
      images: samples.images?.count ?? 0,
      seed: seed.toString(),
      steps,
      sampler,
      settings: {},
      level: LEVEL,
    },
    pictures: (['samples', 'reference'] as const).flatMap((name) => {
      const row = pictures[name];
      return row === undefined ? [] : [namedRow(name, row)];
    }),
    findings: measurements.map(findingOf),
    figures: [
      figureOf('distances', 'Distances to the reference: lower is better', 'lower', measurements),
      figureOf('shares', 'Precision, recall and others: higher is better', 'higher', measurements),
    ].filter(({ curves }) => curves.length > 0),
    notes: [
      ...warnings,
      ...notMeasured.map(({ names, why }) => `${names.join(', ')}: not measured: ${why}`),
      'Intervals are the value and 1.96 standard errors on either side, over the images that are judged.',
    ],
  };
}

function findingOf({ name, value, standardError }: Measurement): Finding {
  const error = STANDARD_ERRORS * (standardError ?? NaN);
  return { name, value, low: value - error, high: value + error };
}

/** One point a measure, with its name beside it. */
function figureOf(
  name: string,
  title: string,
  better: Measurement['better'],
  measurements: readonly Measurement[],
): Figure {
  const shown = measurements.filter((each) => each.better === better);
  const points = shown.map((each, i) => ({ x: i + 1, ...findingOf(each) }));
  return {
    ...{ name, title, x: 'measure', y: better === 'lower' ? 'distance' : 'value', scatter: true as const },
    marks: shown.map((each, i) => ({ x: i + 1, text: each.name })),
    ...(better === 'lower' && points.every(({ value }) => value > 0) && { logarithmic: true as const }),
    curves:
      points.length === 0
        ? []
        : [{ name: 'value', points: points.map(({ x, value, low, high }) => ({ x, value, low, high })) }],
  };
}
