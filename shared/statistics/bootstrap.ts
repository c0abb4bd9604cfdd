/** Bootstrap over images: how much a measure would change with other images of the same kind. */
import { at, invalidArgument, isInteger, violation } from '../foundation/index.js';
import { deriveKey, randomStream } from '../random/index.js';
import type { Estimate } from './estimate.js';
import { meanOf, sorted } from './moments.js';

export interface BootstrapOptions {
  readonly seed: bigint;
  /** Default 200. */
  readonly resamples?: number;
  /** Of the interval, between the percentiles; default 0.95. */
  readonly level?: number;
}

const DEFAULT_RESAMPLES = 200;

/**
 * The statistic of samples of the given sizes, with a percentile interval. `statistic` gets how often each element of
 * each sample counts. Of paired data the size is given once: both halves of a pair then count equally often.
 *
 * @throws INVALID_ARGUMENT naming `sizes`.
 */
export function bootstrap(
  sizes: readonly number[],
  statistic: (...counts: readonly Uint32Array[]) => number,
  { seed, resamples = DEFAULT_RESAMPLES, level = 0.95 }: BootstrapOptions,
): Estimate {
  const wrong = sizes.findIndex((size) => !isInteger(size, 1));
  if (wrong >= 0) throw invalidArgument([violation(`sizes[${wrong}]`, 'an integer from 1', sizes[wrong])]);
  const key = deriveKey(seed, 'bootstrap');
  const values = Array.from({ length: resamples }, (_, resample) =>
    statistic(
      ...sizes.map((size, sample) => {
        const stream = randomStream(key, [resample, sample]);
        const counts = new Uint32Array(size);
        for (let draw = 0; draw < size; draw++) {
          const element = stream.integer(size);
          counts[element] = at(counts, element) + 1;
        }
        return counts;
      }),
    ),
  );
  return percentileInterval(statistic(...sizes.map((size) => new Uint32Array(size).fill(1))), values, level);
}

/** A value with the percentiles of its resampled values; those that aren't finite don't count. */
export function percentileInterval(value: number, resampled: readonly number[], level: number): Estimate {
  const finite = sorted(resampled.filter(Number.isFinite));
  if (finite.length === 0) return { value, low: value, high: value };
  return { value, low: quantile(finite, (1 - level) / 2), high: quantile(finite, (1 + level) / 2) };
}

/**
 * Resampled values of a distance between sets, moved to have the set's own value in the mean. A resample repeats rows, so its
 * distance is larger than the set's by about as much as the set's is larger than that of endless sets: percentiles of the
 * values as they are lie too high, often above the value itself. What counts is how they differ from each other.
 */
export function centred(value: number, resampled: readonly number[]): readonly number[] {
  const finite = resampled.filter(Number.isFinite);
  const excess = finite.length === 0 ? 0 : meanOf(finite) - value;
  return resampled.map((each) => each - excess);
}

function quantile(ascending: Float64Array, share: number): number {
  const place = share * (ascending.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, ascending.length - 1);
  return at(ascending, below) + (place - below) * (at(ascending, above) - at(ascending, below));
}

/** Sums over a stream of images, and over each of its resamples. */
export interface StreamingBootstrap {
  /** Adds an image's values. What comes from the same image (both halves of a pair) belongs into one call. */
  add(values: ArrayLike<number>): void;
  /** What `statistic` makes of the means over all images, with a percentile interval. */
  estimate(statistic: (means: Float64Array) => number): Estimate;
  /** The same for several numbers. @param isDistance Whether these are distances, whose resampled values are `centred`. */
  estimates(statistic: (means: Float64Array) => readonly number[], isDistance?: boolean): Estimate[];
  readonly count: number;
}

/** Sums of all resamples take at most this much memory. */
const MOST_BYTES = 256 * 1024 ** 2;
const FEWEST_RESAMPLES = 20;

/**
 * A bootstrap that keeps no image: in each resample an image counts as often as a Poisson variable of mean 1 says, which
 * depends on the seed and its place in the stream alone. Memory is `length` times the resamples, whatever the number of
 * images; where that would be too much there are fewer resamples, and at least 20.
 * Source: Chamandy et al., "Estimating uncertainty for massive data streams", 2012, section 3.
 *
 * @param length How many values an image has.
 */
export function streamingBootstrap(
  length: number,
  { seed, resamples: asked = DEFAULT_RESAMPLES, level = 0.95 }: BootstrapOptions,
): StreamingBootstrap {
  const affordable = Math.floor(MOST_BYTES / (8 * length));
  const resamples = Math.max(Math.min(asked, affordable), Math.min(asked, FEWEST_RESAMPLES));
  const key = deriveKey(seed, 'streaming bootstrap');
  const sums = new Float64Array(length);
  const resampled = new Float64Array(resamples * length);
  const weights = new Float64Array(resamples);
  let count = 0;

  function add(values: ArrayLike<number>): void {
    if (values.length !== length) throw new RangeError(`wanted ${length} values; got ${values.length}`);
    for (let i = 0; i < length; i++) sums[i] = (sums[i] ?? NaN) + (values[i] ?? NaN);
    const stream = randomStream(key, [count]);
    for (let resample = 0; resample < resamples; resample++) {
      const weight = poisson(stream.uniform());
      if (weight === 0) continue;
      weights[resample] = at(weights, resample) + weight;
      const offset = resample * length;
      for (let i = 0; i < length; i++)
        resampled[offset + i] = (resampled[offset + i] ?? NaN) + weight * (values[i] ?? NaN);
    }
    count += 1;
  }

  function estimates(statistic: (means: Float64Array) => readonly number[], isDistance = false): Estimate[] {
    const of = (totals: Float64Array, weight: number): readonly number[] =>
      statistic(totals.map((sum) => sum / weight));
    const values = Array.from({ length: resamples }, (_, resample) =>
      of(resampled.subarray(resample * length, (resample + 1) * length), at(weights, resample)),
    );
    return of(sums, count).map((value, i) => {
      const resampledValues = values.map((each) => at(each, i));
      return percentileInterval(value, isDistance ? centred(value, resampledValues) : resampledValues, level);
    });
  }

  return {
    add,
    estimate: (statistic) =>
      at(
        estimates((means) => [statistic(means)]),
        0,
      ),
    estimates,
    get count() {
      return count;
    },
  };
}

/** A Poisson variable of mean 1 by inversion. */
function poisson(uniform: number): number {
  let probability = Math.exp(-1);
  let total = probability;
  let value = 0;
  while (uniform >= total && value < 20) {
    value += 1;
    probability /= value;
    total += probability;
  }
  return value;
}
