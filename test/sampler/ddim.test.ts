import test from 'ava';
import { at } from '../../shared/foundation/index.js';
import { drain, samplerPlan, solver } from '../../shared/sampler/index.js';
import {
  ancestralMoments,
  moments,
  TOY_DEVIATION,
  TOY_MEAN,
  toyContract,
  toyNoise,
  toyPredict,
} from './toy.js';

const contract = toyContract();
const predict = toyPredict(contract);

test('eta 0 uses the noise of x_T and no other', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 10 }, contract);
  const positions: number[] = [];
  const noise = (position: number) => {
    positions.push(position);
    return toyNoise(16)(position);
  };
  const once = await drain(solver({ plan, predict, noise }));
  t.deepEqual(positions, [0]);
  t.deepEqual(await drain(solver({ plan, predict, noise })), once);
});

test('eta 0 with all steps follows the probability flow, which is known for normal data', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 1000, clipDenoised: false }, contract);
  const noise = toyNoise(64);
  const sample = await drain(solver({ plan, predict, noise }));
  // The flow keeps how many deviations a value lies from the mean.
  const alphasCumprod = at(plan.tables.alphasCumprod, 999);
  const deviation = Math.sqrt(alphasCumprod * TOY_DEVIATION ** 2 + 1 - alphasCumprod);
  noise(0).forEach((xT, e) => {
    const wanted = TOY_MEAN + (TOY_DEVIATION * (xT - Math.sqrt(alphasCumprod) * TOY_MEAN)) / deviation;
    t.true(Math.abs(at(sample, e) - wanted) < 0.02, `${at(sample, e)} for ${wanted}`);
  });
});

test('eta 1 has the moments of ancestral sampling with the small variance', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 20, eta: 1, clipDenoised: false }, contract);
  const [mean, variance] = moments(await drain(solver({ plan, predict, noise: toyNoise(40_000) })));
  const [wantedMean, wantedVariance] = ancestralMoments(plan, plan.tables.posteriorVariance);
  t.true(Math.abs(mean - wantedMean) < 0.012, `mean ${mean} for ${wantedMean}`);
  t.true(Math.abs(variance / wantedVariance - 1) < 0.035, `variance ${variance} for ${wantedVariance}`);
});

test('eta between 0 and 1 uses one noise in each step except the last', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 4, eta: 0.5 }, contract);
  const positions: number[] = [];
  const noise = (position: number) => {
    positions.push(position);
    return toyNoise(16)(position);
  };
  const noisy = await drain(solver({ plan, predict, noise }));
  t.deepEqual(positions, [0, 1, 2, 3]);
  const still = samplerPlan({ sampler: 'ddim', steps: 4 }, contract);
  t.notDeepEqual(await drain(solver({ plan: still, predict, noise })), noisy);
});
