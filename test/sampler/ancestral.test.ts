import test from 'ava';
import { at } from '../../shared/foundation/index.js';
import { pixels, posteriorMean } from '../../shared/noise/index.js';
import { drain, samplerPlan, solver } from '../../shared/sampler/index.js';
import type { SamplerStep } from '../../shared/sampler/index.js';
import {
  ancestralMoments,
  moments,
  TOY_DEVIATION,
  TOY_MEAN,
  toyContract,
  toyNoise,
  toyPredict,
} from './toy.js';

const LENGTH = 40_000;

for (const varianceType of ['fixed_small', 'fixed_large'] as const) {
  test(`20 steps with ${varianceType} give the mean and variance of the closed form`, async (t) => {
    const contract = toyContract(varianceType);
    const plan = samplerPlan({ sampler: 'ancestral', steps: 20, clipDenoised: false }, contract);
    const sample = await drain(solver({ plan, predict: toyPredict(contract), noise: toyNoise(LENGTH) }));
    const { betas, posteriorVariance } = plan.tables;
    const [wantedMean, wantedVariance] = ancestralMoments(
      plan,
      varianceType === 'fixed_large' ? betas : posteriorVariance,
    );
    const [mean, variance] = moments(sample);
    t.true(Math.abs(mean - wantedMean) < 0.012, `mean ${mean} for ${wantedMean}`);
    t.true(Math.abs(variance / wantedVariance - 1) < 0.035, `variance ${variance} for ${wantedVariance}`);
  });
}

test('all 1000 steps give the mean and variance of the data', async (t) => {
  const contract = toyContract();
  const plan = samplerPlan({ sampler: 'ancestral', steps: 1000, clipDenoised: false }, contract);
  const [mean, variance] = moments(
    await drain(solver({ plan, predict: toyPredict(contract), noise: toyNoise(4000) })),
  );
  t.true(Math.abs(mean - TOY_MEAN) < 0.03, `mean ${mean}`);
  t.true(Math.abs(variance / TOY_DEVIATION ** 2 - 1) < 0.08, `variance ${variance}`);
});

test('a learned variance moves each element from the posterior variance at -1 to beta at 1', async (t) => {
  const channels = 3;
  const places = 4;
  const plan = samplerPlan({ sampler: 'ancestral', steps: 2 }, { ...toyContract('learned_range'), channels });
  // Epsilon 0 everywhere; the first channel's variance value is -1, the second's 1, the third's 0.
  const output = Float32Array.from({ length: places * 2 * channels }, (_, e) =>
    at([0, 0, 0, -1, 1, 0], e % 6),
  );
  const noise = toyNoise(places * channels);
  const steps: SamplerStep[] = [];
  for await (const step of solver({ plan, predict: () => Promise.resolve(output), noise })) steps.push(step);
  const first = at(steps, 0);
  const mean = posteriorMean(pixels, plan.tables, first.predXStart, noise(0), 1);
  const least = Math.sqrt(at(plan.tables.posteriorVariance, 1));
  const most = Math.sqrt(at(plan.tables.betas, 1));
  const draw = noise(1);
  first.sample.forEach((value, e) => {
    const deviation = at([least, most, Math.sqrt(least * most)], e % 3);
    t.true(Math.abs(value - (at(mean, e) + deviation * at(draw, e))) < 1e-5);
  });
});

test('the last step adds no noise and asks for none', async (t) => {
  const contract = toyContract();
  const plan = samplerPlan({ sampler: 'ancestral', steps: 5 }, contract);
  const positions: number[] = [];
  const noise = (position: number) => {
    positions.push(position);
    return toyNoise(8)(position);
  };
  const steps: SamplerStep[] = [];
  for await (const step of solver({ plan, predict: toyPredict(contract), noise })) steps.push(step);
  t.deepEqual(positions, [0, 1, 2, 3, 4]);
  const last = at(steps, 4);
  t.deepEqual(last.sample, last.predXStart);
});
