/** What a measure of quality is, and what it measures. */
import type { LinearAlgebra, Moments, Rows } from '../statistics/index.js';
import type { Extractor, MeasureNames } from './extractor.js';

/** One kind of features of a set of images. */
export interface KnownFeatures {
  readonly moments: Moments;
  /** Undefined where only the statistics are known. */
  readonly rows: Rows | undefined;
}

export interface Side {
  readonly pooled: KnownFeatures;
  readonly spatial: KnownFeatures | undefined;
}

export interface Comparison {
  readonly samples: Side;
  readonly reference: Side;
  readonly extractor: Extractor;
  readonly algebra: LinearAlgebra;
  /** What is drawn at random is drawn from it. */
  readonly seed: bigint;
  /** Takes the share that is done, from 0 to 1. @throws CANCELLED where the measuring was cancelled. */
  readonly report: (share: number) => void;
}

export interface Measurement {
  readonly name: string;
  readonly value: number;
  /** Over the images that are judged; undefined where there is none to be had. */
  readonly standardError?: number;
  readonly better: 'lower' | 'higher';
}

/** Why a measure wasn't made. */
export interface NotMeasured {
  readonly why: string;
}

export interface Measure {
  /** Whether it looks at the reference's images one by one, rather than at their mean and covariance. */
  readonly needsReferenceRows?: true;
  /** What its measurements are called; none where the extractor has no such features. */
  names(names: MeasureNames): readonly string[];
  measure(comparison: Comparison): Promise<readonly Measurement[] | NotMeasured>;
}

/** Gives the features of both sides, or says which has none. */
export function withRows(
  { samples, reference }: Comparison,
  least: number,
  use: (samples: Rows, reference: Rows) => Promise<readonly Measurement[]>,
): Promise<readonly Measurement[] | NotMeasured> {
  const [first, second] = [samples.pooled.rows, reference.pooled.rows];
  if (first === undefined || second === undefined) {
    const side = first === undefined ? 'samples' : 'reference';
    return Promise.resolve({ why: `it needs images, and the ${side} have statistics only` });
  }
  const count = Math.min(first.count, second.count);
  if (count < least) return Promise.resolve({ why: `it needs at least ${least} images; got ${count}` });
  return use(first, second);
}

/** A measurement, whose standard error is left out where it isn't a number. */
export function measurement(
  name: string,
  better: Measurement['better'],
  value: number,
  standardError = NaN,
): Measurement {
  return { name, value, better, ...(Number.isFinite(standardError) && { standardError }) };
}
