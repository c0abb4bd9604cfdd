/** Sets of samples against sets of images: distances with their bootstrap, and what an error of epsilon is. */
import type { Dataset } from '../../shared/dataset/index.js';
import { openLinearAlgebra } from '../../shared/engine/index.js';
import type { ImageSet, MeasuredModel } from '../../shared/exposure/index.js';
import { at, mapInOrder } from '../../shared/foundation/index.js';
import { toFloat32 } from '../../shared/images/index.js';
import { qSample } from '../../shared/noise/index.js';
import { deriveKey, gaussian, permutation, randomStream } from '../../shared/random/index.js';
import {
  drain,
  imageNoise,
  predictedEpsilon,
  samplerPlan,
  solver,
  type SamplerSettings,
} from '../../shared/sampler/index.js';
import {
  bandPower,
  cosineTransform,
  frechetDistance,
  momentsAccumulator,
  radialBands,
  type LinearAlgebra,
  type RadialBands,
} from '../../shared/statistics/index.js';

/** Twice what a pass of the network takes. */
const IMAGES_IN_WORK = 128;

/** Images as rows, [count, size * size * channels], in [-1, 1]. */
export interface ImageRows {
  readonly values: Float32Array;
  readonly columns: number;
  readonly size: number;
  readonly channels: number;
}

/** A data set in an order that mixes it. */
export function imagesOf(dataset: Dataset): ImageSet {
  const order = permutation(deriveKey(0n, 'study images'), [], dataset.length);
  return {
    length: dataset.length,
    image: async (index) => toFloat32(await dataset.read([at(order, index)])),
  };
}

export async function rowsOfDataset(dataset: Dataset, size: number, channels: number): Promise<ImageRows> {
  const all = await dataset.read(Array.from({ length: dataset.length }, (_, index) => index));
  return { values: toFloat32(all), columns: all.length / dataset.length, size, channels };
}

/** `count` samples; sample i depends on the seed, i and the settings alone, so that variants share their noise. */
export async function sampleRows(
  { contract, imageSize, predict }: MeasuredModel,
  settings: SamplerSettings,
  count: number,
  seed: bigint,
  signal: AbortSignal,
): Promise<ImageRows> {
  const plan = samplerPlan(settings, contract);
  const columns = imageSize ** 2 * contract.channels;
  const values = new Float32Array(count * columns);
  const one = async (index: number) =>
    drain(solver({ plan, predict, noise: imageNoise(seed, index, columns), signal }));
  let done = 0;
  for await (const image of mapInOrder(Array(count).keys(), IMAGES_IN_WORK, one))
    values.set(image, done++ * columns);
  return { values, columns, size: imageSize, channels: contract.channels };
}

/** A number with its values for resamples of the images: resample b counts the same images in all sets of a size. */
export interface Resampled {
  readonly value: number;
  readonly resamples: readonly number[];
}

export interface Distances {
  /** Frechet distance of the pixels, in units of [-1, 1]. */
  readonly frechet: Resampled;
  /** Root mean square of the logarithm of the power ratio, over rings of frequencies of equal width. */
  readonly spectral: Resampled;
  /** Energy of the upper half of these rings over that of the reference: 1 where high frequencies are kept. */
  readonly upper: Resampled;
}

/** The reference is taken as given; what is resampled is the samples. */
export async function distancesOf(
  samples: ImageRows,
  reference: ImageRows,
  resamples: number,
): Promise<Distances> {
  const algebra = await openLinearAlgebra();
  try {
    const { size, channels } = reference;
    const rings = radialBands(size, channels, size);
    const powers = bandPowers(samples);
    const wanted = meanPowers(bandPowers(reference), size, everyRow(reference));
    const moments = await momentsOf(reference, everyRow(reference), algebra);
    const of = async (rows: Uint32Array) => {
      const { distance } = await frechetDistance(moments, await momentsOf(samples, rows, algebra), algebra);
      return { frechet: distance, ...spectralOf(meanPowers(powers, size, rows), wanted, rings) };
    };
    const whole = await of(everyRow(samples));
    const repeated: (typeof whole)[] = [];
    for (let b = 0; b < resamples; b++) repeated.push(await of(resampledRows(countOf(samples), b)));
    const resampled = (name: keyof typeof whole): Resampled => ({
      value: whole[name],
      resamples: repeated.map((each) => Number(each[name].toPrecision(6))),
    });
    return { frechet: resampled('frechet'), spectral: resampled('spectral'), upper: resampled('upper') };
  } finally {
    algebra.close();
  }
}

const countOf = ({ values, columns }: ImageRows): number => values.length / columns;
const everyRow = (rows: ImageRows): Uint32Array => Uint32Array.from({ length: countOf(rows) }, (_, i) => i);

/** As many rows, drawn with repetition; a function of their number and `b` alone. */
export function resampledRows(count: number, b: number): Uint32Array {
  const stream = randomStream(deriveKey(0n, 'study bootstrap'), [b]);
  return Uint32Array.from({ length: count }, () => stream.integer(count));
}

async function momentsOf({ values, columns }: ImageRows, rows: Uint32Array, algebra: LinearAlgebra) {
  const chosen = new Float32Array(rows.length * columns);
  rows.forEach((row, place) => {
    chosen.set(values.subarray(row * columns, (row + 1) * columns), place * columns);
  });
  const accumulator = momentsAccumulator(columns, algebra);
  await accumulator.add(chosen);
  return accumulator.result();
}

/** The power of each row in each ring, [count, rings]. */
function bandPowers(rows: ImageRows): Float64Array {
  const { values, columns, size, channels } = rows;
  const transform = cosineTransform(size, channels);
  const rings = radialBands(size, channels, size);
  const powers = new Float64Array(countOf(rows) * size);
  for (let row = 0; row < countOf(rows); row++) {
    const coefficients = transform.forward(values.subarray(row * columns, (row + 1) * columns));
    powers.set(bandPower(rings, coefficients), row * size);
  }
  return powers;
}

function meanPowers(powers: Float64Array, rings: number, rows: Uint32Array): Float64Array {
  const means = new Float64Array(rings);
  for (const row of rows)
    for (let ring = 0; ring < rings; ring++)
      means[ring] = at(means, ring) + at(powers, row * rings + ring) / rows.length;
  return means;
}

function spectralOf(powers: Float64Array, wanted: Float64Array, { sizes, middles }: RadialBands) {
  const squares = powers.reduce((sum, power, ring) => sum + Math.log(power / at(wanted, ring)) ** 2, 0);
  const upperOf = (of: Float64Array): number =>
    of.reduce((sum, power, ring) => sum + (at(middles, ring) > 0.5 ? power * at(sizes, ring) : 0), 0);
  return { spectral: Math.sqrt(squares / powers.length), upper: upperOf(powers) / upperOf(wanted) };
}

/**
 * The mean squared error of epsilon on images without perturbation: image i at timestep (i + 1/2) T / n, with noise that
 * depends on i alone, so that all networks get the same inputs. It can be compared between variants, as the loss can't.
 */
export async function epsilonError(
  { contract, imageSize, predict }: MeasuredModel,
  images: ImageSet,
  signal: AbortSignal,
): Promise<number> {
  const steps = contract.betas.length;
  const plan = samplerPlan({ sampler: 'ancestral', steps }, contract);
  const columns = imageSize ** 2 * contract.channels;
  const one = async (index: number): Promise<number> => {
    const i = Math.floor(((index + 0.5) * steps) / images.length);
    const noise = gaussian(deriveKey(0n, 'study error'), [index], columns);
    const xT = qSample(plan.tables, await images.image(index), i, noise);
    const epsilon = await predictedEpsilon({ plan, predict, signal }, i, xT);
    return epsilon.reduce((sum, value, e) => sum + (value - at(noise, e)) ** 2, 0) / columns;
  };
  let sum = 0;
  for await (const error of mapInOrder(Array(images.length).keys(), IMAGES_IN_WORK, one)) sum += error;
  return sum / images.length;
}

/** The images and their mirror images, as networks are trained on them. */
export function mirroredToo(rows: ImageRows): ImageRows {
  const { values, size, channels } = rows;
  const both = new Float32Array(2 * values.length);
  both.set(values);
  for (let i = 0; i < values.length; i++) {
    const [pixel, channel] = [Math.floor(i / channels), i % channels];
    const x = pixel % size;
    both[values.length + (pixel - x + (size - 1 - x)) * channels + channel] = values[i] ?? NaN;
  }
  return { ...rows, values: both };
}
