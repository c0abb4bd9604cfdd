/** Solvers of the flow approach its exact solution, each with its order. */
import test from 'ava';
import { at } from '../../shared/foundation/index.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { samplerPlan, solver } from '../../shared/sampler/index.js';
import type { SamplerName } from '../../shared/sampler/index.js';
import { collect, TOY_DEVIATION, TOY_MEAN, toyContract, toyNoise, toyPredict } from './toy.js';

// So many that 128 of them and their quarter still lie evenly.
const contract = {
  ...toyContract(),
  ...trainingProcess(makeBetas({ name: 'linear', timesteps: 20_000 })),
};
const predict = toyPredict(contract);
const noise = toyNoise(16);

/**
 * The largest error at a quarter of the time: later, the last step is of first order in all solvers, and its length
 * depends on how many there are. The flow keeps how many deviations a value lies from the mean.
 */
async function error(sampler: SamplerName, steps: number): Promise<number> {
  const plan = samplerPlan({ sampler, steps, spacing: 'trailing', clipDenoised: false }, contract);
  const moments = (i: number) => {
    const alphasCumprod = at(plan.tables.alphasCumprod, i);
    const variance = alphasCumprod * TOY_DEVIATION ** 2 + 1 - alphasCumprod;
    return [Math.sqrt(alphasCumprod) * TOY_MEAN, Math.sqrt(variance)] as const;
  };
  const [fromMean, fromDeviation] = moments(steps - 1);
  const [mean, deviation] = moments(steps / 4 - 1);
  const { sample } = at(await collect(solver({ plan, predict, noise })), (3 * steps) / 4 - 1);
  const errors = noise(0).map(
    (xT, e) => at(sample, e) - (mean + (deviation * (xT - fromMean)) / fromDeviation),
  );
  return Math.max(...errors.map(Math.abs));
}

const ORDERS: readonly (readonly [SamplerName, number])[] = [
  ['ddim', 1],
  ['euler', 1],
  ['heun', 2],
  ['dpmpp_2m', 2],
  // The predictor has order 2; corrected it has one more.
  ['unipc', 3],
];

for (const [sampler, order] of ORDERS) {
  test(`${sampler}: twice the steps make the error 2^${order} times smaller`, async (t) => {
    const [coarse, middle, fine] = [
      await error(sampler, 32),
      await error(sampler, 64),
      await error(sampler, 128),
    ];
    for (const reached of [Math.log2(coarse / middle), Math.log2(middle / fine)]) {
      t.true(Math.abs(reached - order) < 0.1, `order ${reached}`);
    }
  });
}
