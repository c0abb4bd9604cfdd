/**
 * What a sampler makes of Gaussian data, exactly: through the sampler itself, but without chance.
 *
 * For a model that is linear in each value by itself every sampler here is linear in its noises, and so is the effect of
 * the network's error at each step. The variance of a sampled value is therefore the sum of squares of what one unit of
 * each of them adds to it, and each is found by a run of the real sampler with that noise alone.
 */
import { at } from '../../shared/foundation/index.js';
import type { MeasuredModel } from '../../shared/exposure/index.js';
import { drain, solver, type SamplerPlan } from '../../shared/sampler/index.js';
import { bayesError, type GaussianData } from './closed-forms.js';

/** Deviations of the sampled values of data in the basis of pixels. @param rho As of the model, which has none of its own. */
export async function exactDeviations(
  data: GaussianData,
  { predict }: MeasuredModel,
  plan: SamplerPlan,
  rho: number,
): Promise<Float64Array> {
  const length = data.deviations.length;
  const zeros = new Float32Array(length);
  const ones = new Float32Array(length).fill(1);
  const variances = new Float64Array(length);
  const learned = plan.variance.type !== 'fixed';

  async function addRun(noisePosition: number | undefined, errorAt: number | undefined): Promise<void> {
    const sample = await drain(
      solver({
        plan,
        noise: (position) => (position === noisePosition ? ones : zeros),
        predict: async (row) => {
          const output = await predict(row);
          if (row.t !== errorAt) return output;
          const i = plan.timestepMap.indexOf(row.t);
          const error = Math.sqrt(rho * bayesError(data, at(plan.tables.alphasCumprod, i)));
          const { channels } = data;
          return output.map((value, e) =>
            learned && e % (2 * channels) >= channels ? value : value + error,
          );
        },
      }),
    );
    sample.forEach((value, e) => {
      variances[e] = at(variances, e) + value * value;
    });
  }

  for (let position = 0; position < plan.steps; position++) await addRun(position, undefined);
  if (rho > 0) for (const t of plan.timestepMap) await addRun(undefined, t);
  return variances.map(Math.sqrt);
}

export interface Distances {
  /** The squared Frechet distance. */
  readonly frechet: number;
  /** The root mean square of ln of the ratio of variances: all values count the same. */
  readonly spectral: number;
  /** Energy of the samples over that of the data. */
  readonly energy: number;
}

export function distancesOf(sampled: Float64Array, wanted: Float64Array): Distances {
  const sum = (term: (sampled: number, wanted: number) => number): number =>
    sampled.reduce((total, value, e) => total + term(value, at(wanted, e)), 0);
  return {
    frechet: sum((a, b) => (a - b) ** 2),
    spectral: Math.sqrt(sum((a, b) => (2 * Math.log(a / b)) ** 2) / sampled.length),
    energy: sum((a) => a * a) / sum((_, b) => b * b),
  };
}
