/** What is to be measured: plain data, which goes to the process that measures. */

import type { MeasureRequest } from '../exposure/index.js';
import type { MeasureName } from '../quality/index.js';
import type { Precision, WeightsChoice } from '../recipe/index.js';
import type { SamplerSettings } from '../sampler/index.js';

/** Exposure bias on real images. */
export type ExposureTask = Pick<MeasureRequest, 'measures' | 'settings' | 'resamples'> & {
  readonly kind: 'exposure';
  readonly sampler: SamplerSettings;
};

/** Bits per dimension of real images. */
export interface LikelihoodTask {
  readonly kind: 'likelihood';
  /** Of the bound; all of the trained process's where undefined. */
  readonly steps?: number;
}

/** Sampled images against a reference. */
export interface QualityTask {
  readonly kind: 'quality';
  readonly sampler: SamplerSettings;
  /** As `openExtractor` takes it. */
  readonly extractor: string;
  /** All where undefined. */
  readonly measures?: readonly MeasureName[];
}

export type MeasurementTask = ExposureTask | LikelihoodTask | QualityTask;

export const MEASUREMENT_KINDS = [
  'exposure',
  'likelihood',
  'quality',
] as const satisfies readonly MeasurementTask['kind'][];

/** How many images are measured where no number is asked for: as many as there are, up to this. */
export const DEFAULT_IMAGES = { exposure: 500, likelihood: 64, quality: 10_000 } as const satisfies Record<
  MeasurementTask['kind'],
  number
>;

/**
 * How many images are measured of a data set.
 * @param asked 0 for the default.
 * @param length The data set's. Exposure compares as many images again with those that it measures.
 */
export function imagesToMeasure(
  kind: Exclude<MeasurementTask['kind'], 'quality'>,
  asked: number,
  length: number,
): number {
  const most = kind === 'exposure' ? Math.floor(length / 2) : length;
  return asked === 0 ? Math.min(DEFAULT_IMAGES[kind], most) : asked;
}

/** How a task is carried out, whatever it is. */
export interface MeasuringOptions {
  readonly images: number;
  readonly seed: bigint;
  readonly signal?: AbortSignal | undefined;
  /** Called with what is being done, and how much of it; both numbers are 0 where they are not known. */
  readonly onProgress: (stage: string, done: number, total: number) => void;
}

/** Of all intervals. */
export const LEVEL = 0.95;
/** Images in work at once: two passes of 16 rows, so that solvers compute while the network does. */
export const IMAGES_IN_WORK = 32;

/** What is asked of a service: a task, and what it is of. Unchecked where it comes from a client. */
export interface MeasurementRequest {
  readonly model: string;
  /** The newest where undefined. */
  readonly checkpointStep: number | undefined;
  /** The EMA weights of the largest rate where undefined. */
  readonly weights: WeightsChoice | undefined;
  readonly precision: Precision;
  /** 0 for the default. */
  readonly images: number;
  readonly seed: bigint;
  /** An address of real images; '' for those of the model's recipe. */
  readonly data: string;
  /** '' where the address shows it. */
  readonly dataKind: string;
  /** Undefined where the client named none. */
  readonly task: MeasurementTask | undefined;
}
