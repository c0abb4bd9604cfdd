/** What holds for every solver. */
import test from 'ava';
import fc from 'fast-check';
import { at, DiffusionError } from '../../shared/foundation/index.js';
import { makeBetas, MEAN_TYPES, trainingProcess } from '../../shared/noise/index.js';
import { drain, imageNoise, SAMPLERS, samplerPlan, solver, SPACINGS } from '../../shared/sampler/index.js';
import type { DiffusionContract, NetworkRow, SamplerSettings } from '../../shared/sampler/index.js';
import { collect, toyContract, toyNoise, toyPredict } from './toy.js';

const contract = toyContract();
const predict = toyPredict(contract);
const noise = toyNoise(12);

const SOLVERS: readonly SamplerSettings[] = [
  ...SAMPLERS.map((sampler) => ({ sampler })),
  { sampler: 'ddim', eta: 1 },
];

for (const settings of SOLVERS) {
  const name = `${settings.sampler}, eta ${settings.eta ?? 0}`;

  test(`${name}: every step is yielded once, from the largest timestep down`, async (t) => {
    const plan = samplerPlan({ ...settings, steps: 4 }, contract);
    const asked: NetworkRow[] = [];
    const watched = (row: NetworkRow) => {
      asked.push(row);
      return predict(row);
    };
    const steps = await collect(solver({ plan, predict: watched, noise, y: 3 }));
    t.deepEqual(
      steps.map(({ index, t: timestep, steps: count }) => [index, timestep, count]),
      [
        [0, 999, 4],
        [1, 666, 4],
        [2, 333, 4],
        [3, 0, 4],
      ],
    );
    const timesteps = settings.sampler === 'heun' ? [999, 666, 666, 333, 333, 0, 0] : [999, 666, 333, 0];
    t.deepEqual(
      asked.map((row) => [row.t, row.y]),
      timesteps.map((timestep) => [timestep, 3]),
    );
    t.is(plan.evaluations, asked.length);
    t.deepEqual(asked[0]?.xT, noise(0));
    t.deepEqual(asked.at(-1)?.xT, steps[2]?.sample);
    t.deepEqual(await drain(solver({ plan, predict, noise, y: 3 })), steps[3]?.sample);
  });

  test(`${name}: one step predicts x_0 from x_T at T - 1`, async (t) => {
    for (const varianceType of ['fixed_small', 'fixed_large', 'learned', 'learned_range'] as const) {
      const plan = samplerPlan({ ...settings, steps: 1 }, toyContract(varianceType));
      const learnsVariance = varianceType.startsWith('learned');
      const twoChannels = async (row: NetworkRow) =>
        Float32Array.from([...(await predict(row))].flatMap((value) => [value, 0]));
      const steps = await collect(solver({ plan, predict: learnsVariance ? twoChannels : predict, noise }));
      t.is(steps.length, 1);
      t.is(steps[0]?.t, 999);
      t.deepEqual(steps[0]?.sample, steps[0]?.predXStart);
      t.true(steps[0]?.sample.every((value) => value >= -1 && value <= 1));
    }
  });

  for (const schedule of ['linear', 'cosine'] as const) {
    test(`${name}: any steps of the ${schedule} schedule, however spaced, end within the data's reach`, async (t) => {
      const counts = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(1000));
      await fc.assert(
        fc.asyncProperty(counts, fc.constantFrom(...SPACINGS), fc.boolean(), async (steps, spacing, clip) => {
          const given = { ...contract, ...trainingProcess(makeBetas({ name: schedule, timesteps: 1000 })) };
          const plan = samplerPlan({ ...settings, steps, spacing, clipDenoised: clip }, given);
          const network = toyPredict(given);
          let rows = 0;
          const counted = (row: NetworkRow) => {
            rows += 1;
            return network(row);
          };
          const sample = await drain(solver({ plan, predict: counted, noise }));
          t.is(rows, plan.evaluations);
          // Few Heun steps, each over a large part of all sigma, extrapolate as far as they like without the clamp.
          const reach = clip ? 1 : settings.sampler === 'heun' ? Number.MAX_VALUE : 100;
          t.true(
            sample.every((value) => Math.abs(value) <= reach),
            sample.join(),
          );
        }),
        { numRuns: 15 },
      );
    });
  }

  test(`${name}: from the end of the cosine schedule, x stays as large as noise is`, async (t) => {
    const given = { ...contract, ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 1000 })) };
    const plan = samplerPlan({ ...settings, steps: 10, spacing: 'trailing' }, given);
    // A network that isn't the best: its predictions of x_0 move from step to step.
    const rough = ({ xT }: NetworkRow) => Promise.resolve(xT.map((value) => 0.8 * Math.tanh(value)));
    for (const { index, sample } of await collect(solver({ plan, predict: rough, noise }))) {
      t.true(
        sample.every((value) => Math.abs(value) < 5),
        `step ${index}: ${sample.join()}`,
      );
    }
  });

  test(`${name}: a network of any prediction gives the images of a network of epsilon, respaced and with remedies`, async (t) => {
    const trained = trainingProcess(makeBetas({ name: 'cosine', timesteps: 100 }));
    const remedied: SamplerSettings = {
      ...settings,
      steps: 9,
      clipDenoised: false,
      spacing: 'leading',
      epsilonScaling: { k: 0, b: 1.02 },
      guidanceScale: 1.3,
    };
    const image = (meanType: DiffusionContract['meanType']) => {
      const given = { ...toyContract(), ...trained, meanType };
      const plan = samplerPlan(remedied, given);
      return drain(solver({ plan, predict: toyPredict(given), noise, y: 0 }));
    };
    const wanted = await image('epsilon');
    for (const meanType of MEAN_TYPES) {
      (await image(meanType)).forEach((value, e) => {
        t.true(Math.abs(value - at(wanted, e)) < 1e-3, `${meanType}: ${value} for ${at(wanted, e)}`);
      });
    }
  });

  test(`${name}: clipping keeps every predicted x_0 within [-1, 1], and can be switched off`, async (t) => {
    const wild = ({ xT }: NetworkRow) => Promise.resolve(xT.map((_, e) => (e % 2 === 0 ? 40 : -40)));
    for (const clipDenoised of [true, false]) {
      const plan = samplerPlan({ ...settings, steps: 3, clipDenoised }, contract);
      for await (const { predXStart } of solver({ plan, predict: wild, noise })) {
        t.is(
          predXStart.every((value) => Math.abs(value) <= 1),
          clipDenoised,
        );
      }
    }
  });

  test(`${name}: cancelling stops before the next call of the network`, async (t) => {
    const plan = samplerPlan({ ...settings, steps: 10 }, contract);
    const controller = new AbortController();
    let calls = 0;
    const counted = (row: NetworkRow, signal?: AbortSignal) => {
      t.is(signal, controller.signal);
      calls += 1;
      return predict(row);
    };
    const steps = solver({ plan, predict: counted, noise, signal: controller.signal });
    await steps.next();
    const before = calls;
    controller.abort();
    const error = await t.throwsAsync(() => steps.next(), { instanceOf: DiffusionError });
    t.is(error.code, 'CANCELLED');
    t.is(calls, before);
    t.true((await steps.next()).done);
  });

  test(`${name}: cancelling while the network runs yields no further step`, async (t) => {
    const plan = samplerPlan({ ...settings, steps: 10 }, contract);
    const controller = new AbortController();
    const deadline = new DiffusionError('DEADLINE_EXCEEDED', 'the deadline has passed');
    const cancelled = (row: NetworkRow) => {
      controller.abort(deadline);
      return predict(row);
    };
    const steps = solver({ plan, predict: cancelled, noise, signal: controller.signal });
    t.is(await t.throwsAsync(() => steps.next()), deadline);
  });
}

test('an image depends on seed and index alone, whatever runs beside it', async (t) => {
  const plan = samplerPlan({ sampler: 'ancestral', steps: 6 }, contract);
  const image = (seed: bigint, index: number) =>
    drain(solver({ plan, predict, noise: imageNoise(seed, index, 12) }));
  const alone = await image(7n, 2);
  const together = await Promise.all([3, 2, 0, 1].map((index) => image(7n, index)));
  t.deepEqual(together[1], alone);
  t.is(new Set(together.map(String)).size, 4);
  t.notDeepEqual(await image(8n, 2), alone);
});

test('the largest seed and index are exact', (t) => {
  const largest = imageNoise(2n ** 64n - 1n, 2 ** 32 - 1, 4)(0);
  t.notDeepEqual(largest, imageNoise(2n ** 64n - 2n, 2 ** 32 - 1, 4)(0));
  t.notDeepEqual(largest, imageNoise(2n ** 64n - 1n, 2 ** 32 - 2, 4)(0));
  t.throws(() => imageNoise(0n, 2 ** 32, 4)(0), { instanceOf: DiffusionError });
});

test('an output of the wrong length is an error that says so', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 2 }, toyContract('learned_range'));
  const error = await t.throwsAsync(() => drain(solver({ plan, predict, noise })), {
    instanceOf: DiffusionError,
  });
  t.is(error.reason, 'NETWORK_OUTPUT_SHAPE');
  t.is(error.message, "the network's output at timestep 999: wanted 24 values; got 12");
});

test("an output that isn't finite is an error, not an image", async (t) => {
  const plan = samplerPlan({ sampler: 'ancestral', steps: 2 }, contract);
  for (const value of [NaN, Infinity]) {
    const broken = ({ xT }: NetworkRow) => Promise.resolve(xT.map((kept, e) => (e === 5 ? value : kept)));
    const error = await t.throwsAsync(() => drain(solver({ plan, predict: broken, noise })), {
      instanceOf: DiffusionError,
    });
    t.is(error.reason, 'NETWORK_OUTPUT_NOT_FINITE');
  }
});
