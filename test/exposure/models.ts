/** Gaussian data and its closed-form models, small enough for tests. */
import {
  measureExposure,
  type MeasuredModel,
  type MeasureRequest,
  type MeasureResult,
} from '../../shared/exposure/index.js';
import { samplerPlan, type SamplerSettings } from '../../shared/sampler/index.js';
import {
  contractOf,
  gaussianImages,
  gaussianModel,
  type GaussianData,
} from '../../studies/exact-scores/closed-forms.js';

/** Pixels with deviations from 0.2 to 0.8. */
export const DATA: GaussianData = {
  imageSize: 4,
  channels: 1,
  deviations: Float64Array.from({ length: 16 }, (_, i) => 0.2 + 0.04 * i),
  basis: 'pixels',
};
export const CONTRACT = contractOf(1, 'learned', 'cosine');
export const SAMPLER: SamplerSettings = { sampler: 'ancestral', steps: 8, clipDenoised: false };

/** The model that is perfect: with the reverse variance of each pixel ancestral steps are exact. */
export const PERFECT = gaussianModel(DATA, CONTRACT, {
  reverse: { plan: samplerPlan(SAMPLER, CONTRACT), variance: 'each' },
});

/** At the last timestep of the cosine schedule an error of the noise is one of x_0 without any bound. */
const LAST_TIMESTEP = 999;

/** The model with its predicted noise multiplied by a factor, but for the last timestep. */
export function scaled(model: MeasuredModel, factor: number): MeasuredModel {
  const { predict, contract, imageSize } = model;
  const perPixel = contract.varianceType === 'learned' ? 2 : 1;
  return {
    contract,
    imageSize,
    predict: async (row) => {
      const by = row.t === LAST_TIMESTEP ? 1 : factor;
      return (await predict(row)).map((value, e) => (e % perPixel === 0 ? by * value : value));
    },
  };
}

export function request(more: Partial<MeasureRequest> = {}): MeasureRequest {
  const data = gaussianImages(DATA, 1n, 1000);
  return { model: PERFECT, data, sampler: SAMPLER, images: 400, seed: 4n, resamples: 100, ...more };
}

export async function measured(name: string, more?: Partial<MeasureRequest>) {
  return resultOf(await measureExposure({ ...request(more), measures: [name] }), name);
}

export function resultOf(results: readonly MeasureResult[], name: string): MeasureResult {
  const result = results.find(({ measure }) => measure === name);
  if (result === undefined) throw new Error(`${name} gave no result`);
  return result;
}

/** How many points of a figure with an ideal value hold it, and how many there are. */
export function held({ figures }: MeasureResult, figure: string): [number, number] {
  const found = figures.find(({ name }) => name === figure);
  const { ideal = NaN, curves = [] } = found ?? {};
  const points = curves.flatMap((curve) => curve.points);
  return [points.filter(({ low, high }) => low <= ideal && ideal <= high).length, points.length];
}

export function finding({ findings }: MeasureResult, name: string) {
  const found = findings.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no finding is called ${name}`);
  return found;
}
