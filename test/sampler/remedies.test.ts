/** Remedies: each by its formula, and off without a trace. */
import test from 'ava';
import { inspect } from 'node:util';
import { at, DiffusionError } from '../../shared/foundation/index.js';
import { MEAN_TYPES } from '../../shared/noise/index.js';
import { drain, SAMPLERS, samplerPlan, solver, UNCONDITIONAL } from '../../shared/sampler/index.js';
import type { NetworkRow, SamplerSettings } from '../../shared/sampler/index.js';
import { collect, toyContract, toyNoise, toyPredict } from './toy.js';

const LENGTH = 64;
const contract = toyContract();
const predict = toyPredict(contract);
const noise = toyNoise(LENGTH);

const OFF: Omit<SamplerSettings, 'sampler'> = {
  spacing: 'even',
  epsilonScaling: { k: 0, b: 1 },
  timeShift: { window: 0, cutoff: 0 },
  varianceNormalisation: false,
  scoreRescaling: { k: 1, sigma: 3 },
  waveletCorrection: 0,
  guidanceScale: 1,
};

for (const sampler of SAMPLERS) {
  for (const meanType of MEAN_TYPES) {
    const given = { ...contract, meanType };
    test(`${sampler}, ${meanType}: a remedy that is off changes nothing`, async (t) => {
      const image = async (settings: Omit<SamplerSettings, 'sampler'>) => {
        const plan = samplerPlan({ sampler, steps: 7, ...settings }, given);
        return {
          rows: plan.evaluations,
          steps: await collect(solver({ plan, predict: toyPredict(given), noise })),
        };
      };
      t.deepEqual(await image(OFF), await image({}));
    });
  }

  test(`${sampler}: every remedy that is on changes the image`, async (t) => {
    const images = new Set<string>();
    for (const remedy of [
      {},
      { dynamicThreshold: 0.5 },
      { epsilonScaling: { k: 0, b: 1.01 } },
      { timeShift: { window: 400, cutoff: 10 } },
      { varianceNormalisation: true },
      { scoreRescaling: { k: 0.95, sigma: 1 } },
      { waveletCorrection: 0.1 },
      { guidanceScale: 1.5 },
    ]) {
      const plan = samplerPlan({ sampler, steps: 7, ...remedy }, contract);
      const byClass = async (row: NetworkRow) =>
        (await predict(row)).map((value) => value + (row.y === UNCONDITIONAL ? 0 : 0.1));
      images.add(String(await drain(solver({ plan, predict: byClass, noise, y: 1 }))));
    }
    t.is(images.size, 8);
  });
}

/** The predicted x_0 of the first step, by a network that answers epsilon 0.5 everywhere. */
async function firstXStart(
  settings: Omit<SamplerSettings, 'sampler'>,
  length = LENGTH,
): Promise<Float32Array> {
  const plan = samplerPlan({ sampler: 'ddim', clipDenoised: false, steps: 3, ...settings }, contract);
  const constant = ({ xT }: NetworkRow) => Promise.resolve(xT.map(() => 0.5));
  const [first] = await collect(solver({ plan, predict: constant, noise: toyNoise(length) }));
  return first?.predXStart ?? new Float32Array(0);
}

test('epsilon is divided by k i + b, i counting the visited timesteps from 0', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 3 }, contract);
  const { sqrtRecipAlphasCumprod, sqrtRecipm1AlphasCumprod } = plan.tables;
  const predicted = await firstXStart({ epsilonScaling: { k: 0.1, b: 1.05 } });
  predicted.forEach((value, e) => {
    const epsilon = 0.5 / (0.1 * 2 + 1.05);
    const wanted =
      at(sqrtRecipAlphasCumprod, 2) * at(noise(0), e) - at(sqrtRecipm1AlphasCumprod, 2) * epsilon;
    t.true(Math.abs(value - wanted) < 1e-4 * Math.abs(at(sqrtRecipAlphasCumprod, 2)));
  });
});

test('score rescaling multiplies epsilon by (snr s^2 + 1) / (snr s^2 / k + 1)', async (t) => {
  const settings = { respacing: '0,0,1', scoreRescaling: { k: 0.8, sigma: 2 } };
  const plan = samplerPlan({ sampler: 'ddim', ...settings }, contract);
  const alphasCumprod = at(plan.tables.alphasCumprod, 0);
  const snr = alphasCumprod / (1 - alphasCumprod);
  const ratio = (snr * 4 + 1) / ((snr * 4) / 0.8 + 1);
  t.true(ratio > 0.8 && ratio < 0.999);
  const constant = ({ xT }: NetworkRow) => Promise.resolve(xT.map(() => 0.5));
  const scaled = ({ xT }: NetworkRow) => Promise.resolve(xT.map(() => 0.5 * ratio));
  const unscaled = samplerPlan({ sampler: 'ddim', respacing: '0,0,1' }, contract);
  const image = await drain(solver({ plan, predict: constant, noise }));
  (await drain(solver({ plan: unscaled, predict: scaled, noise }))).forEach((value, e) => {
    t.true(Math.abs(at(image, e) - value) < 1e-5);
  });
});

test('dynamic thresholding clamps to the quantile of |x_0|, linear between ranks, and divides by it', async (t) => {
  const raw = [...(await firstXStart({}, 5))];
  const thresholded = await firstXStart({ clipDenoised: true, dynamicThreshold: 0.6 }, 5);
  const ranks = raw.map(Math.abs).sort((a, b) => a - b);
  // Rank 0.6 * 4 = 2.4.
  const most = at(ranks, 2) + 0.4 * (at(ranks, 3) - at(ranks, 2));
  t.true(most > 1);
  raw.forEach((value, e) => {
    const wanted = Math.min(Math.max(value, -most), most) / most;
    t.true(Math.abs(at(thresholded, e) - wanted) < 1e-6);
  });
});

test('wavelet correction moves blocks of 2 x 2 pixels away from the predicted x_0, and keeps their details', async (t) => {
  const SIZE = 5;
  const given = { ...contract, channels: 3 };
  const images = toyNoise(SIZE * SIZE * 3);
  const predictAll = toyPredict(given);
  const first = async (settings: Omit<SamplerSettings, 'sampler'>) => {
    const plan = samplerPlan({ sampler: 'ddim', steps: 3, ...settings }, given);
    const [step] = await collect(solver({ plan, predict: predictAll, noise: images }));
    if (step === undefined) throw new Error('no step');
    return { plan, step };
  };
  const { plan, step: plain } = await first({});
  const { step: moved } = await first({ waveletCorrection: 0.2 });
  t.deepEqual(moved.predXStart, plain.predXStart);
  const weight = 0.2 * Math.sqrt(1 - at(plan.tables.alphasCumprod, 2));
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      for (let channel = 0; channel < 3; channel++) {
        const place = (r: number, c: number): number => (r * SIZE + c) * 3 + channel;
        const block = [0, 1]
          .flatMap((r) => [0, 1].map((c) => [row - (row % 2) + r, column - (column % 2) + c] as const))
          .filter(([r, c]) => r < SIZE && c < SIZE)
          .map(([r, c]) => at(plain.sample, place(r, c)) - at(plain.predXStart, place(r, c)));
        const mean = block.reduce((sum, value) => sum + value, 0) / block.length;
        const wanted = at(plain.sample, place(row, column)) + weight * mean;
        t.true(Math.abs(at(moved.sample, place(row, column)) - wanted) < 1e-6);
      }
    }
  }
});

test('an image within its range is not stretched by dynamic thresholding', async (t) => {
  const still = ({ xT }: NetworkRow) => Promise.resolve(xT.map((_, e) => 0.3 * Math.sin(e)));
  const given = { ...contract, meanType: 'x_start' } as const;
  const plan = samplerPlan({ sampler: 'ddim', steps: 2, dynamicThreshold: 0.9 }, given);
  const image = await drain(solver({ plan, predict: still, noise }));
  image.forEach((value, e) => {
    t.true(Math.abs(value - 0.3 * Math.sin(e)) < 1e-7);
  });
});

test('guidance goes from the prediction of no class past that of the class, two rows at once', async (t) => {
  const waiting: NetworkRow[] = [];
  const scale = 3;
  const plan = samplerPlan(
    { sampler: 'ancestral', steps: 2, guidanceScale: scale },
    {
      ...toyContract('learned_range'),
      channels: 1,
    },
  );
  t.is(plan.evaluations, 4);
  // Epsilon, then the variance's place: the class decides both.
  const output = (y: number) => Array.from({ length: LENGTH }, () => [0.1 + 0.2 * (y + 1), y]).flat();
  const together = async (row: NetworkRow) => {
    waiting.push(row);
    await Promise.resolve();
    t.is(waiting.length % 2, 0, 'the second row is asked for before the first is answered');
    return Float32Array.from(output(row.y));
  };
  const guided = await collect(solver({ plan, predict: together, noise, y: 1 }));
  t.deepEqual(
    waiting.map(({ y }) => y),
    [1, UNCONDITIONAL, 1, UNCONDITIONAL],
  );
  const [conditional, unconditional] = [0.5, 0.1];
  const one = samplerPlan({ sampler: 'ancestral', steps: 2 }, toyContract('learned_range'));
  const guess = unconditional + scale * (conditional - unconditional);
  const combined = () =>
    Promise.resolve(Float32Array.from({ length: 2 * LENGTH }, (_, e) => (e % 2 === 0 ? guess : 1)));
  const wanted = await collect(solver({ plan: one, predict: combined, noise }));
  guided.forEach(({ sample }, step) => {
    sample.forEach((value, e) => {
      t.true(Math.abs(value - at(at(wanted, step).sample, e)) < 1e-4);
    });
  });
});

test('guidance without a class is refused', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 2, guidanceScale: 2 }, contract);
  const steps = solver({ plan, predict, noise });
  const error = await t.throwsAsync(() => steps.next(), { instanceOf: DiffusionError });
  t.is(error.violations[0]?.field, 'guidance_scale');
});

test('variance normalisation shows the network pixels of variance 1 - alphasCumprod', async (t) => {
  const plan = samplerPlan({ sampler: 'ancestral', steps: 5, varianceNormalisation: true }, contract);
  let i = plan.steps;
  const watched = (row: NetworkRow) => {
    i -= 1;
    const mean = row.xT.reduce((sum, value) => sum + value, 0) / LENGTH;
    const variance = row.xT.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (LENGTH - 1);
    t.true(Math.abs(variance / (1 - at(plan.tables.alphasCumprod, i)) - 1) < 1e-5);
    return predict(row);
  };
  await drain(solver({ plan, predict: watched, noise }));
  t.is(i, 0);
});

test('variance normalisation leaves an image of equal pixels as it is', async (t) => {
  const settings = { sampler: 'ddim', steps: 2 } as const;
  const flat = () => new Float32Array(LENGTH).fill(0.5);
  const on = samplerPlan({ ...settings, varianceNormalisation: true }, contract);
  const off = samplerPlan(settings, contract);
  t.deepEqual(
    await drain(solver({ plan: on, predict, noise: flat })),
    await drain(solver({ plan: off, predict, noise: flat })),
  );
});

test('the time-shift sampler takes x_t for the timestep of its variance, within half a window of its own', async (t) => {
  const { alphasCumprod } = samplerPlan({ sampler: 'ddim', steps: 1000 }, contract).tables;
  const varianceOf = (x: Float32Array) => {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    return x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (x.length - 1);
  };
  const window = 60;
  const plan = samplerPlan({ sampler: 'ddim', steps: 10, timeShift: { window, cutoff: 300 } }, contract);
  const asked: NetworkRow[] = [];
  // Epsilon of less variance than it should have, so that x_t runs ahead of its time.
  const eager = ({ xT, ...row }: NetworkRow) => {
    asked.push({ xT, ...row });
    return Promise.resolve(xT.map((value) => 1.1 * value));
  };
  // And x_T, which belongs to T - 1 all the same.
  const small = (position: number) => noise(position).map((value) => 0.8 * value);
  const steps = await collect(solver({ plan, predict: eager, noise: small }));
  let shifted = 0;
  for (const [step, { xT, t: given }] of asked.entries()) {
    const own = at(plan.timestepMap, plan.steps - 1 - step);
    t.is(at(steps, step).t, given);
    if (step === 0 || own <= 300) {
      t.is(given, own);
      continue;
    }
    const distance = (timestep: number) => Math.abs(varianceOf(xT) - (1 - at(alphasCumprod, timestep)));
    const nearby = Array.from({ length: window + 1 }, (_, offset) => own - window / 2 + offset);
    t.true(nearby.every((timestep) => distance(given) <= distance(timestep) + 1e-12));
    if (given !== own) shifted += 1;
  }
  t.true(shifted > 3);
});

test('a shifted step stays between its neighbours, whatever the variance', async (t) => {
  for (const scale of [0, 5]) {
    const settings = { sampler: 'ancestral', steps: 10, timeShift: { window: 999, cutoff: 0 } } as const;
    const plan = samplerPlan(settings, contract);
    const asked: number[] = [];
    const wild = ({ xT, t: given }: NetworkRow) => {
      asked.push(given);
      return Promise.resolve(xT.map((value) => scale * value));
    };
    const image = await drain(solver({ plan, predict: wild, noise }));
    t.true(image.every((value) => Number.isFinite(value)));
    asked.forEach((given, step) => {
      const i = plan.steps - 1 - step;
      t.true(given > (plan.timestepMap[i - 1] ?? -1) && given < (plan.timestepMap[i + 1] ?? 1000));
    });
  }
});

const REFUSED: readonly (readonly [string, Omit<SamplerSettings, 'sampler'>])[] = [
  ['dynamic_threshold', { dynamicThreshold: 0 }],
  ['dynamic_threshold', { dynamicThreshold: 1.01 }],
  ['dynamic_threshold', { dynamicThreshold: NaN }],
  ['dynamic_threshold', { dynamicThreshold: 0.9, clipDenoised: false }],
  ['epsilon_scaling.b', { epsilonScaling: { k: 0, b: 0 } }],
  ['epsilon_scaling.b', { epsilonScaling: { k: 0, b: NaN } }],
  ['epsilon_scaling.b', { epsilonScaling: { k: 0, b: Infinity } }],
  ['epsilon_scaling.k', { epsilonScaling: { k: -0.5, b: 1 } }],
  ['epsilon_scaling.k', { epsilonScaling: { k: NaN, b: 1 } }],
  ['time_shift.window', { timeShift: { window: -1, cutoff: 0 } }],
  ['time_shift.window', { timeShift: { window: 1.5, cutoff: 0 } }],
  ['time_shift.window', { timeShift: { window: 1000, cutoff: 0 } }],
  ['time_shift.cutoff', { timeShift: { window: 4, cutoff: 1000 } }],
  ['time_shift.cutoff', { timeShift: { window: 4, cutoff: NaN } }],
  ['score_rescaling.k', { scoreRescaling: { k: 0, sigma: 1 } }],
  ['score_rescaling.k', { scoreRescaling: { k: Infinity, sigma: 1 } }],
  ['score_rescaling.sigma', { scoreRescaling: { k: 1, sigma: NaN } }],
  ['guidance_scale', { guidanceScale: -1 }],
  ['guidance_scale', { guidanceScale: NaN }],
  ['guidance_scale', { guidanceScale: 1e30 }],
];

for (const [field, settings] of REFUSED) {
  test(`${inspect(settings)}: refused by naming ${field}`, (t) => {
    const wrong = () => samplerPlan({ sampler: 'ddim', steps: 10, ...settings }, contract);
    const error = t.throws(wrong, { instanceOf: DiffusionError });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.deepEqual(
      error.violations.map((violation) => violation.field),
      [field],
    );
  });
}

test('epsilon scaling is held to its range at every visited timestep', (t) => {
  const epsilonScaling = { k: -0.09, b: 1 };
  t.notThrows(() => samplerPlan({ sampler: 'ddim', steps: 10, epsilonScaling }, contract));
  t.throws(() => samplerPlan({ sampler: 'ddim', steps: 12, epsilonScaling }, contract), {
    message:
      /^epsilon_scaling.k: wanted a number with k i \+ b from 0.1 to 10 for i from 0 to 11; got -0.09$/,
  });
});
