/** A solver over a slot gives what the solver over pixels gives, in as few questions as the reader allows. */
import test from 'ava';

import { at } from '../../shared/foundation/index.js';
import { imageNoise, SAMPLERS, samplerPlan, slotSolver, solver } from '../../shared/sampler/index.js';
import type {
  ImageStep,
  SamplerPlan,
  SamplerSettings,
  Slot,
  SlotRow,
  SolverOptions,
} from '../../shared/sampler/index.js';
import { collect, toyContract, toyPredict } from './toy.js';
import { runRow, toySlot } from './toy-slot.js';

// 5 x 5, so that blocks of pixels have an odd edge.
const LENGTH = 25;
const noise = imageNoise(3n, 5, LENGTH);
const contract = toyContract();
const predict = toyPredict(contract);

/** A slot in memory that runs at most so many rows at once. */
function memorySlot(mostRows = Infinity) {
  let held = toySlot({ x: new Float32Array(LENGTH), history: [] });
  const seen = { runs: 0, rows: 0, reads: 0 };
  const slot: Slot = {
    write: (state) => {
      held = toySlot(state);
      return Promise.resolve();
    },
    run: async (rows: readonly SlotRow[], signal) => {
      signal?.throwIfAborted();
      seen.runs += 1;
      const taken = rows.slice(0, mostRows);
      for (const row of taken) await runRow(held, row, { predict, stream: noise.stream });
      seen.rows += taken.length;
      return taken.length;
    },
    read: (array) => {
      seen.reads += 1;
      return Promise.resolve(
        array === 'x' ? held.x : array === 'xStart' ? held.xStart : at(held.history, array),
      );
    },
  };
  return { slot, seen };
}

function isNear(values: Float32Array, wanted: Float32Array): boolean {
  return (
    values.length === wanted.length && values.every((value, e) => Math.abs(value - at(wanted, e)) < 1e-5)
  );
}

async function everyStep(options: SolverOptions, slot: Slot) {
  const states = [];
  for await (const step of slotSolver(options, slot, () => true))
    states.push({ ...(await step.state()), predXStart: await step.predXStart() });
  return states;
}

const image = noise(80).map((value) => Math.tanh(value));
const start = { kind: 'image', xStart: image, skippedSteps: 1 } as const;
/** Sampled, kept and blended pixels. */
const inpaint = { image: noise(81).map(Math.tanh), mask: image.map((_, e) => [1, 0, 0.3, 0][e % 4] ?? 1) };

interface Variant {
  readonly settings?: Partial<SamplerSettings>;
  readonly options?: Partial<SolverOptions>;
}

const VARIANTS: readonly Variant[] = [
  {},
  { options: { start } },
  { options: { inpaint } },
  { options: { inpaint, start } },
  { settings: { dynamicThreshold: 0.83 } },
  { settings: { dynamicThreshold: 1 } },
  { settings: { dynamicThreshold: 0.5 }, options: { inpaint } },
  { settings: { varianceNormalisation: true } },
  { settings: { waveletCorrection: -0.4 } },
  {
    settings: { waveletCorrection: 0.2, varianceNormalisation: true, dynamicThreshold: 0.95 },
    options: { inpaint, start },
  },
];

for (const sampler of SAMPLERS) {
  test(`${sampler}: each step that is read is that of the solver, and so is what resumes after it`, async (t) => {
    for (const { settings, options } of VARIANTS) {
      const plan = samplerPlan({ sampler, steps: 5, guidanceScale: 1.5, ...settings }, contract);
      const begun: SolverOptions = { plan, predict, noise, y: 1, ...options };
      const wanted = await collect(solver(begun));
      const { slot, seen } = memorySlot(1);
      const got = await everyStep(begun, slot);
      t.is(got.length, wanted.length);
      t.true(seen.rows <= plan.evaluations);
      for (const [k, { state, predXStart }] of wanted.entries()) {
        const { x, history, stepsDone, predXStart: predicted } = at(got, k);
        t.is(stepsDone, state.stepsDone);
        const which = JSON.stringify([settings, Object.keys(options ?? {}), k]);
        t.true(isNear(x, state.x) && isNear(predicted, predXStart), which);
        t.is(history.length, state.history.length);
        t.true(history.every((values, i) => isNear(values, at(state.history, i))));
      }
      const resumed = await everyStep({ ...begun, resume: at(got, 1) }, memorySlot().slot);
      t.deepEqual(
        resumed.map(({ x }) => x),
        got.slice(2).map(({ x }) => x),
      );
    }
  });
}

const plan: SamplerPlan = samplerPlan({ sampler: 'heun', steps: 6, guidanceScale: 2 }, contract);

test('what nobody reads stays in the slot, and steps are yielded whole', async (t) => {
  const { slot, seen } = memorySlot(3);
  const steps: ImageStep[] = [];
  for await (const step of slotSolver({ plan, noise, y: 0 }, slot, (done) => done === 4)) steps.push(step);
  t.true(steps.some(({ stepsDone }) => stepsDone === 4));
  t.is(
    steps.reduce((sum, { taken }) => sum + taken, 0),
    6,
  );
  t.is(seen.rows, plan.evaluations);
  t.is(seen.reads, 0);
});

test('a long trajectory is written again now and then, and stays the same', async (t) => {
  const long = samplerPlan({ sampler: 'unipc', steps: 300 }, contract);
  const { slot, seen } = memorySlot();
  let writes = 0;
  const counted: Slot = {
    ...slot,
    write: (state) => {
      writes += 1;
      return slot.write(state);
    },
  };
  let last: Float32Array = new Float32Array(0);
  for await (const step of slotSolver({ plan: long, noise }, counted, () => false))
    last = await step.sample();
  const [wanted] = (await collect(solver({ plan: long, predict, noise }))).slice(-1);
  t.true(isNear(last, wanted?.sample ?? last));
  t.is(writes, 3);
  t.is(seen.rows, 300);
});

test('an aborted image is left after a whole step', async (t) => {
  const leaving = new AbortController();
  const { slot, seen } = memorySlot(1);
  const steps: ImageStep[] = [];
  const run = async (): Promise<void> => {
    const options = { plan, noise, y: 0, signal: leaving.signal };
    const aborting: Slot = {
      ...slot,
      run: (rows, signal) => {
        const running = slot.run(rows, signal);
        if (seen.rows >= 4) leaving.abort(new Error('left'));
        return running;
      },
    };
    for await (const step of slotSolver(options, aborting, () => false)) steps.push(step);
  };
  await t.throwsAsync(run(), { message: /left|cancel|abort/i });
  const last = at(steps, steps.length - 1);
  const rowsOf = (stepsDone: number): number =>
    Array.from(
      { length: stepsDone },
      (_, k) => 2 * plan.solver.stages(plan, plan.steps - 1 - k).length,
    ).reduce((sum, rows) => sum + rows, 0);
  t.is(seen.rows, rowsOf(last.stepsDone));
});
