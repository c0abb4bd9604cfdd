/** A solver's rows of numbers do what the solver does. */
import test from 'ava';

import { at } from '../../shared/foundation/index.js';
import {
  imageNoise,
  PIXEL_NUMBERS,
  SAMPLERS,
  samplerPlan,
  slotRows,
  solver,
  unfitForSlots,
} from '../../shared/sampler/index.js';
import type { DiffusionContract, Predict, SamplerSettings } from '../../shared/sampler/index.js';
import { collect, toyContract } from './toy.js';
import { runRow, toySlot } from './toy-slot.js';

const CHANNELS = 2;
const LENGTH = 4 * 4 * CHANNELS;
const noise = imageNoise(5n, 3, LENGTH);

const CONTRACTS: Readonly<Record<string, DiffusionContract>> = {
  epsilon: { ...toyContract(), channels: CHANNELS },
  'v, learned range': { ...toyContract('learned_range'), channels: CHANNELS, meanType: 'v' },
  'x_start, learned': { ...toyContract('learned'), channels: CHANNELS, meanType: 'x_start' },
};
const SETTINGS: readonly Partial<SamplerSettings>[] = [
  {},
  { clipDenoised: false, steps: 3 },
  { epsilonScaling: { k: 0.01, b: 1.02 }, scoreRescaling: { k: 0.9, sigma: 1 } },
  { guidanceScale: 2 },
];

function predictOf({ varianceType }: DiffusionContract): Predict {
  const isLearned = varianceType.startsWith('learned');
  return ({ xT, t, y }) => {
    const mean = xT.map((value) => Math.tanh(value) * (0.8 - 0.0003 * t) + 0.1 * y);
    if (!isLearned) return Promise.resolve(mean);
    const places = Array.from({ length: 2 * LENGTH }, (_, e) => e);
    const output = places.map((e) => {
      const value = at(mean, Math.floor(e / (2 * CHANNELS)) * CHANNELS + (e % CHANNELS));
      return Math.floor(e / CHANNELS) % 2 === 0 ? value : 0.3 * value - 0.2;
    });
    return Promise.resolve(Float32Array.from(output));
  };
}

for (const sampler of [...SAMPLERS, 'ddim with eta'] as const) {
  test(`${sampler}: rows over a slot give each step's x, predicted x_0 and history`, async (t) => {
    for (const [name, contract] of Object.entries(CONTRACTS)) {
      const predict = predictOf(contract);
      const channels = contract.varianceType.startsWith('learned') ? { channels: CHANNELS } : {};
      for (const settings of SETTINGS) {
        const chosen = sampler === 'ddim with eta' ? ({ sampler: 'ddim', eta: 0.7 } as const) : { sampler };
        const plan = samplerPlan({ steps: 6, ...chosen, ...settings }, contract);
        const slot = toySlot({ x: noise(0), history: [] });
        let past = 0;
        let rows = 0;
        for (const step of await collect(solver({ plan, predict, noise, y: 1 }))) {
          const i = plan.steps - 1 - step.index;
          for (const row of slotRows({ plan, y: 1, past, length: LENGTH }, plan.solver.stages(plan, i), i)) {
            await runRow(slot, row, { predict, stream: noise.stream, ...channels });
            rows += 1;
          }
          past = step.state.history.length;
          const wanted = [step.sample, step.predXStart, ...step.state.history];
          const got = [slot.x, slot.xStart, ...slot.history];
          for (const [k, values] of wanted.entries()) {
            const most = Math.max(1, ...values.map(Math.abs));
            const apart = Math.max(...values.map((value, e) => Math.abs(value - at(at(got, k), e))));
            t.true(apart < 2e-5 * most, `${name}, ${JSON.stringify(settings)}, step ${step.index}: ${apart}`);
          }
        }
        t.is(rows, plan.evaluations);
      }
    }
  });
}

test('what a slot can not compute is named, and only rows that look at pixels have numbers for it', (t) => {
  const contract = toyContract();
  const of = (settings: Partial<SamplerSettings>) =>
    samplerPlan({ sampler: 'ddim', steps: 4, ...settings }, contract);
  t.deepEqual(
    unfitForSlots({ plan: of({ guidanceScale: 3, scoreRescaling: { k: 2, sigma: 1 } }), noise }),
    [],
  );
  t.deepEqual(
    unfitForSlots({ plan: of({ timeShift: { window: 10, cutoff: 5 }, varianceNormalisation: true }), noise }),
    ['timeShift'],
  );
  t.deepEqual(unfitForSlots({ plan: of({}), noise: (position) => noise(position) }), ['noise']);

  const rowsOf = (settings: Partial<SamplerSettings>) => {
    const plan = of({ guidanceScale: 3, ...settings });
    return slotRows({ plan, y: 1, past: 0, length: LENGTH }, plan.solver.stages(plan, 2), 2);
  };
  t.true(rowsOf({}).every(({ pixels }) => pixels === undefined));
  const [first = [], last = []] = rowsOf({ varianceNormalisation: true, waveletCorrection: 0.5 }).map(
    ({ pixels }) => pixels,
  );
  t.deepEqual([first.length, last.length], [PIXEL_NUMBERS, PIXEL_NUMBERS]);
  // x is normalised before the step's first row, and corrected after its last.
  t.deepEqual(
    [first, last].map((numbers) => numbers.filter((each) => each !== 0).length),
    [1, 1],
  );
  t.notDeepEqual(first.map(Math.sign), last.map(Math.sign));
});
