/** Data whose best network is known: every pixel normal with the same mean and deviation. */
import { at } from '../../shared/foundation/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import {
  diffusionTables,
  makeBetas,
  combined,
  predictionOf,
  trainingProcess,
} from '../../shared/noise/index.js';
import type { VarianceType } from '../../shared/noise/index.js';
import type { DiffusionContract, Predict, SamplerPlan, SamplerStep } from '../../shared/sampler/index.js';

export const TOY_MEAN = 0.3;
export const TOY_DEVIATION = 0.5;

export function toyContract(varianceType: VarianceType = 'fixed_small'): DiffusionContract {
  return {
    ...trainingProcess(makeBetas({ name: 'linear', timesteps: 1000 })),
    meanType: 'epsilon',
    varianceType,
    channels: 1,
  };
}

/** The best network of the toy, for what the contract says that it predicts; it sees t alone, as a trained one does. */
export function toyPredict(contract: DiffusionContract): Predict {
  const tables = diffusionTables(contract.betas);
  const { xStart: ofEpsilon } = predictionOf('epsilon', tables);
  const { target } = predictionOf(contract.meanType, tables);
  return ({ xT, t }) => {
    const [gain, offset] = toyEpsilon(at(tables.alphasCumprod, t));
    const epsilon = xT.map((value) => gain * value + offset);
    const xStart = combined(ofEpsilon, t, { xT, prediction: epsilon });
    return Promise.resolve(combined(target, t, { noise: epsilon, xStart, xT }));
  };
}

/** E[epsilon | x_t] = gain x_t + offset. */
function toyEpsilon(alphasCumprod: number): [number, number] {
  const variance = alphasCumprod * TOY_DEVIATION ** 2 + 1 - alphasCumprod;
  const gain = Math.sqrt(1 - alphasCumprod) / variance;
  return [gain, -gain * Math.sqrt(alphasCumprod) * TOY_MEAN];
}

/** Mean and variance of the toy's samples under ancestral sampling, step by step from N(0, 1) in closed form. */
export function ancestralMoments({ tables, steps }: SamplerPlan, variance: Float64Array): [number, number] {
  let [mean, spread] = [0, 1];
  for (let i = steps - 1; i >= 0; i--) {
    const [gain, offset] = toyEpsilon(at(tables.alphasCumprod, i));
    const beta = at(tables.betas, i);
    // Ho et al.'s other form of the mean: (x_t - beta / sqrt(1 - alphasCumprod) epsilon) / sqrt(alpha).
    const share = beta / Math.sqrt(1 - at(tables.alphasCumprod, i));
    const scale = (1 - share * gain) / Math.sqrt(1 - beta);
    mean = scale * mean - (share * offset) / Math.sqrt(1 - beta);
    spread = scale ** 2 * spread + (i === 0 ? 0 : at(variance, i));
  }
  return [mean, spread];
}

export function toyNoise(length: number): (position: number) => Float32Array {
  const key = deriveKey(11n, 'toy');
  return (position) => gaussian(key, [position], length);
}

export function moments(values: Float32Array): [number, number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length];
}

/** Every step of a solver. */
export async function collect(steps: AsyncIterable<SamplerStep>): Promise<SamplerStep[]> {
  const all: SamplerStep[] = [];
  for await (const step of steps) all.push(step);
  return all;
}
