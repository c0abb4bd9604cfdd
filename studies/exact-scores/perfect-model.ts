/** Every measure on a model without any error, and on one with errors. */
import { measureExposure, type MeasureResult } from '../../shared/exposure/index.js';
import { samplerPlan } from '../../shared/sampler/index.js';
import type { Bench } from '../study.js';
import { contractOf, gaussianImages, gaussianModel, powerLaw } from './closed-forms.js';

const SETTINGS = { imageSize: 8, steps: 20, images: 1000, seed: '1', wrongRho: 0.3 };

export async function perfectModel(bench: Bench): Promise<void> {
  const { imageSize, steps, images, seed, wrongRho } = SETTINGS;
  const rows = await bench.piece('perfect-model', SETTINGS, async (say) => {
    const data = { imageSize, channels: 1, deviations: powerLaw(imageSize), basis: 'pixels' } as const;
    const contract = contractOf(1, 'learned', 'cosine');
    const sampler = { sampler: 'ancestral', steps, clipDenoised: false } as const;
    const plan = samplerPlan(sampler, contract);
    const measured = async (rho: number, variance: 'each' | 'common') => {
      const results = await measureExposure({
        model: gaussianModel(data, contract, { rho, reverse: { plan, variance } }),
        data: gaussianImages(data, 1n, 2 * images),
        ...{ sampler, images, seed: BigInt(seed) },
        settings: { chain_length: { images: 500 }, lambda_sweep: { count: 5 } },
        // Its own scales of pixels differ, so what the paper tests is not true of this data.
        measures: ['energy_ratio', 'epsilon_norm', 'sliced_wasserstein', 'delta', 'spectrum', 'chain_length'],
      });
      say(`network error ${rho} done`);
      return held(results);
    };
    const [perfect, wrong] = [await measured(0, 'each'), await measured(wrongRho, 'common')];
    return perfect.map((row, i) => ({ ...row, heldForWrongModel: wrong[i]?.held ?? NaN }));
  });
  await bench.table('perfect-model', rows);
}

/** Of each figure with an ideal value: how many intervals hold it. */
function held(results: readonly MeasureResult[]) {
  return results.flatMap(({ measure, figures }) =>
    figures.flatMap(({ name, ideal, curves, map }) => {
      if (ideal === undefined || map === true) return [];
      const points = curves.flatMap((curve) => curve.points);
      const holding = points.filter(({ low, high }) => low <= ideal && ideal <= high).length;
      return [{ measure, figure: name, ideal, points: points.length, held: holding }];
    }),
  );
}
