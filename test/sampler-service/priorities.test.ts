/** Who goes first, counted in passes of an engine without a network: nothing here looks at a clock. */

import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';

import test from 'ava';

import { generateImages } from '../../services/sampler/generation.js';
import { newCall, type Owner } from '../../services/sampler/priorities.js';
import type { ImageSeries } from '../../services/sampler/resolve-generation.js';
import { stepBatcher, type PredictRow } from '../../services/sampler/step-batcher.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { imageNoise, samplerPlan, UNCONDITIONAL, type NetworkRow } from '../../shared/sampler/index.js';
import { ownerOf } from './owners.js';

const SIZES = [1, 2, 4, 8, 16];
const contract = {
  ...trainingProcess(makeBetas({ name: 'linear', timesteps: 1000 })),
  meanType: 'epsilon',
  varianceType: 'fixed_large',
  channels: 1,
} as const;

function series(count: number, steps: number): ImageSeries {
  return {
    task: 'generate',
    ...{ count, seed: 7n },
    plan: samplerPlan({ sampler: 'ancestral', steps }, contract),
    shape: { width: 1, height: 1, channels: 1 },
    format: 'raw_float32',
    reports: { previewEverySteps: 0, trajectoryEverySteps: 0, resumeTokenEverySteps: 0 },
    stepsTotal: count * steps,
    evaluations: count * steps,
    resumable: { requestSha256: '', checkpointStep: 1, weights: 'raw', weightsSha256: '' },
    taskAt: (index) => ({ index, options: { noise: imageNoise(7n, index, 1) } }),
  };
}

/**
 * An engine that counts what its passes cost: 9.4 ms for one row, 26 ms for four, 90 ms for sixteen, as measured with the
 * 8M network. A pass takes a few turns of the event loop, as its messages do.
 */
function engine() {
  const passes: number[] = [];
  let cost = 0;
  const runPass = async (rows: readonly NetworkRow[]): Promise<Float32Array[]> => {
    passes.push(rows.length);
    cost += 4 + 5.4 * (SIZES.find((size) => size >= rows.length) ?? Number.NaN);
    for (let turn = 0; turn < 3; turn++) await setImmediate();
    return rows.map(({ xT }) => xT);
  };
  return { passes, cost: () => cost, predict: stepBatcher(runPass, SIZES) };
}

const clock = { wallMs: () => 0, monotonicMs: () => 0 };

/** A call that counts its images. */
function call(predict: PredictRow, owner: Owner, count: number, steps: number) {
  const end = new AbortController();
  const context = {
    predict,
    owner,
    window: 32,
    signal: end.signal,
    onStep: () => undefined,
    clock,
    tokenKey: Buffer.alloc(32),
    calledMs: 0,
  };
  const done = (async () => {
    for await (const event of generateImages(series(count, steps), context))
      if (end.signal.aborted) return event;
    return undefined;
  })();
  return { done, cancel: () => (end.abort(), done.catch(() => undefined)) };
}

/** What a call of 4 images in 50 steps costs from its beginning to its end, in units of the engine above. */
async function costOf(owner: Owner, ofOthers?: Owner): Promise<number> {
  const { passes, cost, predict } = engine();
  const others = ofOthers && call(predict, ofOthers, 2000, 1000);
  while (others !== undefined && passes.length < 20) await setImmediate();
  const before = cost();
  await call(predict, owner, 4, 50).done;
  const taken = cost() - before;
  await others?.cancel();
  return taken;
}

for (const priority of ['interactive', 'normal'] as const)
  test(`a call of 4 images in 50 steps that is ${priority} ends within 1.5 times its time alone beside 2,000 images in 1,000 steps that are batch`, async (t) => {
    const owner = ownerOf({ priority });
    const alone = await costOf(owner);
    t.is(Math.round(alone), 50 * 25.6);
    const beside = await costOf(owner, ownerOf({ priority: 'batch' }));
    t.true(beside < 1.5 * alone, `${beside} against ${alone}`);
  });

test('a small call is in every pass beside a large one of its own class', async (t) => {
  const { passes, predict } = engine();
  const large = call(predict, ownerOf(), 2000, 1000);
  while (passes.length < 20) await setImmediate();
  const before = passes.length;
  await call(predict, ownerOf(), 4, 50).done;
  // It may come while a pass runs, and end while the next one does.
  t.true(passes.length - before <= 52, `${passes.length - before} passes`);
  t.true(passes.slice(before).every((rows) => rows === 16));
  await large.cancel();
});

/** A solver without end for each of `rows`; counts its steps until the engine has run so many passes. */
async function shares(
  all: readonly (readonly [owner: Owner, rows: number])[],
  passes: number,
): Promise<number[]> {
  const fake = engine();
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  const steps = all.map(() => 0);
  const row = { xT: Float32Array.of(0), t: 1, y: UNCONDITIONAL };
  const solvers = all.flatMap(([owner, rows], i) =>
    Array.from({ length: rows }, async () => {
      for (; fake.passes.length < passes; steps[i] = (steps[i] ?? 0) + 1)
        await fake.predict(row, { owner, signal: over.signal });
    }),
  );
  await Promise.all(solvers);
  return steps;
}

test('a class that goes last still gets its part, however much the others ask', async (t) => {
  const [interactive = 0, normal = 0, batch = 0] = await shares(
    (['interactive', 'normal', 'batch'] as const).map((priority) => [ownerOf({ priority }), 64]),
    2100,
  );
  const all = interactive + normal + batch;
  t.true(Math.abs(interactive / all - 16 / 21) < 0.02, `${interactive} of ${all}`);
  t.true(Math.abs(normal / all - 4 / 21) < 0.02, `${normal} of ${all}`);
  t.true(Math.abs(batch / all - 1 / 21) < 0.02, `${batch} of ${all}`);
});

test('a lower class fills the places of a pass that would be computed for nothing, and no other ones', async (t) => {
  const { passes, predict } = engine();
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  const row = { xT: Float32Array.of(0), t: 1, y: UNCONDITIONAL };
  const ask = (priority: Owner['priority'], rows: number) =>
    Array.from({ length: rows }, () => predict(row, { owner: ownerOf({ priority }), signal: over.signal }));
  await Promise.all([...ask('batch', 3), ...ask('interactive', 3)]);
  t.deepEqual(passes, [4, 2]);
});

test('of the calls of a caller that with the least to compute goes first, and a large one gets every eighth turn', async (t) => {
  const call = (remaining: number) => ownerOf({ call: { ...newCall(), remaining } });
  const [small = 0, large = 0] = await shares(
    [
      [call(10), 64],
      [call(1000), 64],
    ],
    1000,
  );
  t.true(Math.abs(large / (small + large) - 1 / 8) < 0.02, `${large} of ${small + large}`);
});

test('callers of one class have equal turns, whatever the number of their calls, and so have calls of a caller with equally much to compute', async (t) => {
  const [a = 0, ...b] = await shares(
    [
      [ownerOf({ caller: 'a' }), 32],
      ...Array.from({ length: 4 }, () => [ownerOf({ caller: 'b' }), 32] as const),
    ],
    1000,
  );
  const ofB = b.reduce((sum, steps) => sum + steps, 0);
  t.true(Math.abs(a / (a + ofB) - 1 / 2) < 0.02, `${a} and ${ofB}`);
  for (const steps of b) t.true(Math.abs(steps / ofB - 1 / 4) < 0.02, `${steps} of ${ofB}`);
});
