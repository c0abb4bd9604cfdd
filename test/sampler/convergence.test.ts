/** Solvers of the flow approach its exact solution, each with its order. */
import test from 'ava';
import { at } from '../../shared/foundation/index.js';
import { makeBetas } from '../../shared/noise/index.js';
import { drain, samplerPlan, solver } from '../../shared/sampler/index.js';
import type { SamplerName } from '../../shared/sampler/index.js';
import { TOY_DEVIATION, TOY_MEAN, toyContract, toyNoise, toyPredict } from './toy.js';

// Timesteps fine enough that 80 of them still lie evenly.
const contract = { ...toyContract(), betas: makeBetas({ name: 'linear', timesteps: 20_000 }) };
const predict = toyPredict(contract);
const noise = toyNoise(16);

/** How far the image is from the flow's own end, which keeps how many deviations a value lies from the mean. */
async function error(sampler: SamplerName, steps: number): Promise<number> {
  const plan = samplerPlan({ sampler, steps, spacing: 'trailing', clipDenoised: false }, contract);
  const sample = await drain(solver({ plan, predict, noise }));
  const alphasCumprod = at(plan.tables.alphasCumprod, steps - 1);
  const deviation = Math.sqrt(alphasCumprod * TOY_DEVIATION ** 2 + 1 - alphasCumprod);
  const errors = noise(0).map((xT, e) => {
    const deviations = (xT - Math.sqrt(alphasCumprod) * TOY_MEAN) / deviation;
    return Math.abs(at(sample, e) - (TOY_MEAN + TOY_DEVIATION * deviations));
  });
  return Math.max(...errors);
}

const ORDERS: readonly (readonly [SamplerName, number])[] = [
  ['ddim', 1],
  ['euler', 1],
  ['heun', 2],
  ['dpmpp_2m', 2],
  ['unipc', 2],
];

for (const [sampler, order] of ORDERS) {
  test(`${sampler} has order ${order}`, async (t) => {
    const errors: number[] = [];
    for (const steps of [20, 40, 80]) errors.push(await error(sampler, steps));
    t.log(errors.map((value) => value.toExponential(2)).join(' '));
    const reached = Math.log2(at(errors, 1) / at(errors, 2));
    t.true(reached > order - 0.35, `order ${reached}`);
    t.true(at(errors, 2) < at(errors, 0) / 2 ** (2 * (order - 0.35)));
  });
}

test('at the same steps the solvers of second order are nearer than DDIM', async (t) => {
  const ofDdim = await error('ddim', 40);
  for (const sampler of ['heun', 'dpmpp_2m', 'unipc'] as const) {
    const ofSecondOrder = await error(sampler, 40);
    t.true(ofSecondOrder < ofDdim / 2, `${sampler}: ${ofSecondOrder} beside ${ofDdim}`);
  }
});
