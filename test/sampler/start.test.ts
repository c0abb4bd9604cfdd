/** Trajectories that begin at an image or a latent, and images that are drawn into. */
import test from 'ava';
import { at, DiffusionError } from '../../shared/foundation/index.js';
import { qSample } from '../../shared/noise/index.js';
import {
  drain,
  encode,
  interpolatedNoise,
  remainingEvaluations,
  SAMPLERS,
  samplerPlan,
  solver,
} from '../../shared/sampler/index.js';
import type { NetworkRow, SolverOptions } from '../../shared/sampler/index.js';
import { collect, toyContract, toyNoise, toyPredict } from './toy.js';

const LENGTH = 8;
const contract = toyContract();
const predict = toyPredict(contract);
const noise = toyNoise(LENGTH);
const image = Float32Array.from({ length: LENGTH }, (_, e) => Math.sin(e));
const mask = Float32Array.from({ length: LENGTH }, (_, e) => e % 2);

for (const sampler of SAMPLERS) {
  const plan = samplerPlan({ sampler, steps: 5 }, contract);

  test(`${sampler}: a start at an image is the image noised to the first timestep that isn't skipped`, async (t) => {
    for (let skippedSteps = 0; skippedSteps < plan.steps; skippedSteps++) {
      const asked: NetworkRow[] = [];
      const watched = (row: NetworkRow) => {
        asked.push(row);
        return predict(row);
      };
      const steps = await collect(
        solver({ plan, predict: watched, noise, start: { kind: 'image', xStart: image, skippedSteps } }),
      );
      const i = plan.steps - 1 - skippedSteps;
      t.deepEqual(asked[0]?.xT, qSample(plan.tables, image, i, noise(0)));
      t.is(steps[0]?.t, at(plan.timestepMap, i));
      t.deepEqual(
        steps.map(({ index }) => index),
        Array.from({ length: plan.steps - skippedSteps }, (_, step) => skippedSteps + step),
      );
      t.is(asked.length, remainingEvaluations(plan, skippedSteps));
    }
  });

  test(`${sampler}: a latent takes the place of the noise`, async (t) => {
    const xT = noise(77);
    const given = await drain(solver({ plan, predict, noise, start: { kind: 'latent', xT } }));
    const drawn = (position: number) => (position === 0 ? xT : noise(position));
    t.deepEqual(given, await drain(solver({ plan, predict, noise: drawn })));
  });

  test(`${sampler}: kept pixels have the noise of their level at every step, and is exactly the image at the end`, async (t) => {
    const steps = await collect(solver({ plan, predict, noise, inpaint: { image, mask } }));
    for (const { index, sample, predXStart } of steps) {
      const level = plan.steps - 2 - index;
      const kept = level < 0 ? image : qSample(plan.tables, image, level, noise(0));
      sample.forEach((value, e) => {
        if (e % 2 === 1) return;
        t.is(value, at(kept, e));
        t.is(at(predXStart, e), at(image, e));
      });
    }
  });

  test(`${sampler}: a mask of ones gives the image without inpainting`, async (t) => {
    const inpaint = { image, mask: mask.map(() => 1) };
    t.deepEqual(
      await drain(solver({ plan, predict, noise, inpaint })),
      await drain(solver({ plan, predict, noise })),
    );
  });
}

test('a mask between 0 and 1 blends', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 1 }, contract);
  const drawn = await drain(solver({ plan, predict, noise }));
  const inpaint = { image, mask: mask.map(() => 0.25) };
  const blended = await drain(solver({ plan, predict, noise, inpaint }));
  // One step: x_T is blended as well, so the drawn share differs by what the network makes of that.
  t.false(blended.some((value, e) => Math.abs(value - at(image, e)) > Math.abs(at(drawn, e) - at(image, e))));
  t.notDeepEqual(blended, image);
});

test('an encoded image is sampled again from its x_T', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', clipDenoised: false, steps: 500 }, contract);
  const xStart = image.map((value) => value / 2);
  const encoded = await collect(
    encode({ plan, predict, noise, start: { kind: 'image', xStart, skippedSteps: 0 } }),
  );
  t.deepEqual(
    encoded.map(({ index, t: timestep }) => [index, timestep]),
    Array.from(plan.timestepMap, (timestep, i) => [i, timestep]),
  );
  const xT = encoded.at(-1)?.sample ?? new Float32Array(0);
  const again = await drain(solver({ plan, predict, noise, start: { kind: 'latent', xT } }));
  again.forEach((value, e) => {
    t.true(Math.abs(value - at(xStart, e)) < 0.02, `${value} for ${at(xStart, e)}`);
  });
});

test('noise between two images turns from the one to the other and stays as long', (t) => {
  const [from, to] = [toyNoise(5000), (position: number) => toyNoise(5000)(position + 100)];
  const square = (values: Float32Array) => values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
  t.deepEqual(interpolatedNoise(from, to, 0)(0), from(0));
  t.deepEqual(interpolatedNoise(from, to, 1)(0), to(0));
  t.deepEqual(interpolatedNoise(from, to, 0.5)(3), from(3));
  t.deepEqual(interpolatedNoise(from, from, 0.5)(0), from(0));
  for (const weight of [0.25, 0.5, 0.9]) {
    t.true(Math.abs(square(interpolatedNoise(from, to, weight)(0)) - 1) < 0.05);
  }
  for (const weight of [-0.1, 1.1, NaN]) {
    const error = t.throws(() => interpolatedNoise(from, to, weight), { instanceOf: DiffusionError });
    t.is(error.violations[0]?.field, 'weight');
  }
});

const REFUSED: readonly (readonly [string, Omit<SolverOptions, 'plan' | 'predict' | 'noise'>])[] = [
  ['start.skipped_steps', { start: { kind: 'image', xStart: image, skippedSteps: 5 } }],
  ['start.skipped_steps', { start: { kind: 'image', xStart: image, skippedSteps: -1 } }],
  ['start.skipped_steps', { start: { kind: 'image', xStart: image, skippedSteps: 0.5 } }],
  ['start.x_start', { start: { kind: 'image', xStart: image.map(() => NaN), skippedSteps: 0 } }],
  ['start.x_t', { start: { kind: 'latent', xT: image.map(() => Infinity) } }],
  ['inpaint.mask', { inpaint: { image, mask: mask.map(() => 1.1) } }],
  ['inpaint.mask', { inpaint: { image, mask: mask.map(() => NaN) } }],
  ['inpaint.mask', { inpaint: { image, mask: mask.slice(1) } }],
  ['inpaint.image', { inpaint: { image: image.map(() => NaN), mask } }],
];

for (const [i, [field, options]] of REFUSED.entries()) {
  test(`beginning ${i} is refused by naming ${field}`, async (t) => {
    const plan = samplerPlan({ sampler: 'ddim', steps: 5 }, contract);
    const steps = solver({ plan, predict, noise, ...options });
    const error = await t.throwsAsync(() => steps.next(), { instanceOf: DiffusionError });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.is(error.violations[0]?.field, field);
  });
}

test('encoding refuses what it would ignore, by name', async (t) => {
  const start = { kind: 'image', xStart: image, skippedSteps: 0 } as const;
  const ddim = samplerPlan({ sampler: 'ddim', steps: 3 }, contract);
  const cases: readonly (readonly [string, Omit<SolverOptions, 'predict' | 'noise'>])[] = [
    ['start', { plan: ddim }],
    ['start', { plan: ddim, start: { ...start, skippedSteps: 1 } }],
    ['eta', { plan: samplerPlan({ sampler: 'ddim', steps: 3, eta: 1 }, contract), start }],
    ['inpaint', { plan: ddim, start, inpaint: { image, mask } }],
    [
      'time_shift',
      {
        plan: samplerPlan({ sampler: 'ddim', steps: 3, timeShift: { window: 9, cutoff: 9 } }, contract),
        start,
      },
    ],
  ];
  for (const [field, options] of cases) {
    const steps = encode({ predict, noise, ...options });
    const error = await t.throwsAsync(() => steps.next(), { instanceOf: DiffusionError });
    t.is(error.violations[0]?.field, field);
  }
});
