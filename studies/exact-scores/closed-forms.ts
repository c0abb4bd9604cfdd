/**
 * Data whose best network is known: Gaussian images, and mixtures of Gaussians. Each variant of the paper is served as a
 * model that the real samplers take for a network.
 */
import { at } from '../../shared/foundation/index.js';
import type { ImageSet, MeasuredModel } from '../../shared/exposure/index.js';
import {
  combined,
  diffusionTables,
  makeBetas,
  predictionOf,
  trainingProcess,
  type DiffusionTables,
} from '../../shared/noise/index.js';
import { deriveKey, gaussian, randomStream } from '../../shared/random/index.js';
import type { DiffusionContract, NetworkRow, SamplerPlan } from '../../shared/sampler/index.js';
import { cosineTransform } from '../../shared/statistics/index.js';

/** What the network was trained on: y = sqrt(ab) x_0 + sqrt(1 - ab) (epsilon + gamma xi). */
export interface Variant {
  readonly gamma: number;
  /** epsilon (DDPM, DDPM-IP), or (epsilon + gamma xi) / sqrt(1 + gamma^2) (DDPM-y). */
  readonly target: 'epsilon' | 'normalised';
}

export const DDPM: Variant = { gamma: 0, target: 'epsilon' };
export const ip = (gamma: number): Variant => ({ gamma, target: 'epsilon' });
export const y = (gamma: number): Variant => ({ gamma, target: 'normalised' });

export interface ModelOptions {
  readonly variant?: Variant;
  /** White error of the predicted noise: its variance over the mean squared error of the best network at that t. */
  readonly rho?: number;
  /**
   * The plan whose best reverse variance the model gives, where the contract says that it is learned: for each value, as
   * no network could know it better, or one for all, as the usual analysis has it.
   */
  readonly reverse?: { readonly plan: SamplerPlan; readonly variance: 'each' | 'common' };
}

export function contractOf(
  channels: number,
  varianceType: DiffusionContract['varianceType'],
  name: 'linear' | 'cosine' = 'linear',
): DiffusionContract {
  const process = trainingProcess(makeBetas({ name, timesteps: 1000 }));
  return { ...process, meanType: 'epsilon', varianceType, channels };
}

/** Independent normal values of mean 0. */
export interface GaussianData {
  readonly imageSize: number;
  readonly channels: number;
  /** Of each value [size, size, channels]: of the pixels, or of the cosine coefficients. */
  readonly deviations: Float64Array;
  readonly basis: 'pixels' | 'cosine';
}

/**
 * Deviations of cosine coefficients with a power spectrum (f0 + f)^-exponent, f the distance from the mean in
 * coefficients, whose pixels have the given variance.
 */
export function powerLaw(imageSize: number, exponent = 2, pixelVariance = 0.25, f0 = 0.5): Float64Array {
  const power = Float64Array.from({ length: imageSize ** 2 }, (_, i) => {
    const radius = Math.hypot(Math.floor(i / imageSize), i % imageSize);
    return (f0 + radius) ** -exponent;
  });
  const mean = power.reduce((sum, value) => sum + value, 0) / power.length;
  return power.map((value) => Math.sqrt((pixelVariance * value) / mean));
}

/** Images of the data, any number of them, each a function of the seed and its index. */
export function gaussianImages(data: GaussianData, seed: bigint, length: number): ImageSet {
  const key = deriveKey(seed, 'gaussian images');
  const transform = cosineTransform(data.imageSize, data.channels);
  return {
    length,
    image: (index) => {
      const values = gaussian(key, [index], data.deviations.length).map((z, e) => z * at(data.deviations, e));
      return Promise.resolve(data.basis === 'pixels' ? values : transform.inverse(values));
    },
  };
}

/** What the models of a variant compute with at a timestep. */
interface NoiseLevel {
  readonly alphasCumprod: number;
  /** sqrt(1 - ab). */
  readonly noise: number;
  /** (1 - ab) (1 + gamma^2): the variance of the noise that the network believes to see. */
  readonly seenVariance: number;
  /** What epsilon is multiplied by to be the variant's target. */
  readonly targetScale: number;
}

function noiseLevel(tables: DiffusionTables, t: number, { gamma, target }: Variant): NoiseLevel {
  const alphasCumprod = at(tables.alphasCumprod, t);
  const factor = 1 + gamma ** 2;
  return {
    alphasCumprod,
    noise: Math.sqrt(1 - alphasCumprod),
    seenVariance: (1 - alphasCumprod) * factor,
    targetScale: target === 'epsilon' ? 1 : Math.sqrt(factor),
  };
}

/** E[target | y] = gain y for a value of the given deviation. */
function gainOf({ alphasCumprod, noise, seenVariance, targetScale }: NoiseLevel, deviation: number): number {
  return (targetScale * noise) / (alphasCumprod * deviation ** 2 + seenVariance);
}

/** The mean squared error of the best prediction of epsilon from x_t. */
export function bayesError({ deviations }: GaussianData, alphasCumprod: number): number {
  const shares = deviations.map((deviation) => {
    const signal = alphasCumprod * deviation ** 2;
    return signal / (signal + 1 - alphasCumprod);
  });
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** E[target | y] of Gaussian data in closed form, plus the error; with the best reverse variance of a plan where asked for. */
export function gaussianModel(
  data: GaussianData,
  contract: DiffusionContract,
  { variant = DDPM, rho = 0, reverse }: ModelOptions = {},
): MeasuredModel {
  const tables = diffusionTables(contract.betas);
  const transform = cosineTransform(data.imageSize, data.channels);
  const inBasis = data.basis === 'cosine';
  const logVariances = reverse && bestLogVariances(data, reverse);

  return {
    contract,
    imageSize: data.imageSize,
    predict: (row) => {
      const level = noiseLevel(tables, row.t, variant);
      const coefficients = inBasis ? transform.forward(row.xT) : row.xT;
      const means = Float64Array.from(
        coefficients,
        (value, e) => gainOf(level, at(data.deviations, e)) * value,
      );
      const epsilon = inBasis ? transform.inverse(means) : Float32Array.from(means);
      const output = withError(epsilon, row, Math.sqrt(rho * bayesError(data, level.alphasCumprod)));
      const values = logVariances?.get(row.t);
      return Promise.resolve(values === undefined ? output : interleaved(output, values, data.channels));
    },
    ...(rho === 0 && {
      inputGradient: ({ t }) => {
        const level = noiseLevel(tables, t, variant);
        const squares = data.deviations.reduce((sum, deviation) => sum + gainOf(level, deviation) ** 2, 0);
        return Promise.resolve(squares / data.deviations.length);
      },
    }),
  };
}

/** A white error that is a function of the row, as a network's is. */
function withError(epsilon: Float32Array, { xT, t }: NetworkRow, deviation: number): Float32Array {
  if (deviation === 0) return epsilon;
  const bits = new Uint32Array(xT.buffer, xT.byteOffset, xT.length);
  let hash = 0x811c9dc5;
  for (const word of bits) hash = Math.imul(hash ^ word, 0x01000193) ^ (word >>> 15);
  const error = gaussian(deriveKey(0n, 'network error'), [hash >>> 0, t], epsilon.length);
  return epsilon.map((value, e) => value + deviation * at(error, e));
}

/**
 * The logarithm of the best variance of p(x_{t-1} | x_t) for each value, by timestep: that of q(x_{t-1} | x_t, x_0) and what
 * x_0 is uncertain by. The best common one is the mean.
 * Source: arXiv 2201.06503 (Analytic-DPM), theorem 1.
 */
function bestLogVariances(
  data: GaussianData,
  { plan: { tables, timestepMap }, variance }: NonNullable<ModelOptions['reverse']>,
): Map<number, Float64Array> {
  return new Map(
    Array.from(timestepMap, (t, i) => {
      const alphasCumprod = at(tables.alphasCumprod, i);
      const variances = data.deviations.map((deviation) => {
        const signal = alphasCumprod * deviation ** 2;
        const uncertainty = (deviation ** 2 * (1 - alphasCumprod)) / (signal + 1 - alphasCumprod);
        const ofPosterior = Math.exp(at(tables.posteriorLogVarianceClipped, i));
        return ofPosterior + at(tables.posteriorMeanCoef1, i) ** 2 * uncertainty;
      });
      const mean = variances.reduce((sum, each) => sum + each, 0) / variances.length;
      return [t, variances.map((each) => Math.log(variance === 'each' ? each : mean))] as const;
    }),
  );
}

/** [H, W, 2C]: of every pixel the prediction, then the logarithm of the variance. */
function interleaved(output: Float32Array, logVariances: Float64Array, channels: number): Float32Array {
  const both = new Float32Array(2 * output.length);
  output.forEach((value, e) => {
    const place = Math.floor(e / channels) * 2 * channels + (e % channels);
    both[place] = value;
    both[place + channels] = at(logVariances, e);
  });
  return both;
}

/** Isotropic normal clouds of one deviation around some points. */
export interface MixtureData {
  readonly imageSize: number;
  readonly channels: number;
  /** As many values as an image. */
  readonly centres: readonly Float32Array[];
  readonly deviation: number;
}

/** A few clouds whose centres the seed chooses, within [-1, 1]. */
export function mixture(imageSize: number, clouds: number, deviation: number, seed: bigint): MixtureData {
  const stream = randomStream(deriveKey(seed, 'mixture'), []);
  const centres = Array.from({ length: clouds }, () =>
    Float32Array.from({ length: imageSize ** 2 }, () => 1.6 * stream.uniform() - 0.8),
  );
  return { imageSize, channels: 1, centres, deviation };
}

export function mixtureImages({ centres, deviation }: MixtureData, seed: bigint, length: number): ImageSet {
  const [noiseKey, cloudKey] = [deriveKey(seed, 'mixture images'), deriveKey(seed, 'mixture clouds')];
  return {
    length,
    image: (index) => {
      const centre = at(centres, randomStream(cloudKey, [index]).integer(centres.length));
      const noise = gaussian(noiseKey, [index], centre.length);
      return Promise.resolve(centre.map((value, e) => value + deviation * at(noise, e)));
    },
  };
}

/** E[target | y] of a mixture, by the probability of each cloud given y. */
export function mixtureModel(
  { imageSize, centres, deviation }: MixtureData,
  contract: DiffusionContract,
  { variant = DDPM, rho = 0 }: Omit<ModelOptions, 'reverse'> = {},
): MeasuredModel {
  const tables = diffusionTables(contract.betas);
  const { xStart: ofEpsilon } = predictionOf('epsilon', tables);
  return {
    contract,
    imageSize,
    predict: (row) => {
      const { xT, t } = row;
      const level = noiseLevel(tables, t, variant);
      const signal = Math.sqrt(level.alphasCumprod);
      const variance = level.alphasCumprod * deviation ** 2 + level.seenVariance;
      const logs = centres.map((centre) => {
        const squares = xT.reduce((sum, value, e) => sum + (value - signal * at(centre, e)) ** 2, 0);
        return -squares / (2 * variance);
      });
      const most = Math.max(...logs);
      const weights = logs.map((log) => Math.exp(log - most));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const epsilon = xT.map((value, e) => {
        const centre = centres.reduce((sum, each, c) => sum + (at(weights, c) / total) * at(each, e), 0);
        return (level.targetScale * level.noise * (value - signal * centre)) / variance;
      });
      // The share of the best network's error, as for Gaussian data, with the spread of a cloud.
      const signalVariance = level.alphasCumprod * deviation ** 2;
      const bayes = signalVariance / (signalVariance + 1 - level.alphasCumprod);
      const output = withError(epsilon, row, Math.sqrt(rho * bayes));
      if (contract.meanType === 'epsilon') return Promise.resolve(output);
      return Promise.resolve(combined(ofEpsilon, t, { xT, prediction: output }));
    },
  };
}
