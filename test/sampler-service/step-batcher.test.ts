import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';

import test from 'ava';

import { stepBatcher } from '../../services/sampler/step-batcher.js';
import { deferred, DiffusionError, type Deferred } from '../../shared/foundation/index.js';
import { UNCONDITIONAL, type NetworkRow } from '../../shared/sampler/index.js';
import { ownerOf } from './owners.js';

interface Pass {
  readonly timesteps: number[];
  readonly done: Deferred<Float32Array[]>;
}

/** An engine whose passes the test answers; a row's output is its timestep doubled. */
function manualEngine() {
  const passes: Pass[] = [];
  const runPass = (rows: readonly NetworkRow[]): Promise<Float32Array[]> => {
    const done = deferred<Float32Array[]>();
    passes.push({ timesteps: rows.map(({ t }) => t), done });
    return done.promise;
  };
  const finish = (pass: Pass | undefined): void => {
    pass?.done.resolve(pass.timesteps.map((t) => Float32Array.of(2 * t)));
  };
  return { passes, runPass, finish };
}

const row = (t: number): NetworkRow => ({ xT: Float32Array.of(0), t, y: UNCONDITIONAL });
const never = new AbortController().signal;
const owner = ownerOf();
setMaxListeners(0, never);

/** Lets everything run that is ready to. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await setImmediate();
}

test('rows of several callers and timesteps share one pass', async (t) => {
  const { passes, runPass, finish } = manualEngine();
  const predict = stepBatcher(runPass, [4]);
  const answers = Promise.all(
    [999, 5, 40].map((timestep) => predict(row(timestep), { owner, signal: never })),
  );
  await settle();
  t.deepEqual(
    passes.map(({ timesteps }) => timesteps),
    [[999, 5, 40]],
  );
  finish(passes[0]);
  t.deepEqual(
    (await answers).map(([value]) => value),
    [1998, 10, 80],
  );
});

test('one pass runs at a time, of at most the given rows, and rows that come meanwhile join the next', async (t) => {
  const { passes, runPass, finish } = manualEngine();
  const predict = stepBatcher(runPass, [2]);
  const answers = [1, 2, 3].map((timestep) => predict(row(timestep), { owner, signal: never }));
  await settle();
  t.is(passes.length, 1);
  answers.push(predict(row(4), { owner, signal: never }));
  finish(passes[0]);
  await settle();
  t.deepEqual(
    passes.map(({ timesteps }) => timesteps),
    [
      [1, 2],
      [3, 4],
    ],
  );
  finish(passes[1]);
  t.deepEqual(
    (await Promise.all(answers)).map(([value]) => value),
    [2, 4, 6, 8],
  );
});

test('a full pass that waits begins before the solvers of the last one compute', async (t) => {
  const { passes, runPass, finish } = manualEngine();
  const events: string[] = [];
  const predict = stepBatcher(
    (rows) => {
      events.push(`pass of ${rows.map(({ t: timestep }) => timestep).join()}`);
      return runPass(rows);
    },
    [2],
  );
  const answers = [1, 2, 3, 4].map(async (timestep) => {
    await predict(row(timestep), { owner, signal: never });
    events.push(`${timestep} answered`);
  });
  await settle();
  finish(passes[0]);
  await settle();
  finish(passes[1]);
  await Promise.all(answers);
  t.deepEqual(events, ['pass of 1,2', 'pass of 3,4', ...[1, 2, 3, 4].map((each) => `${each} answered`)]);
});

test('solvers that a pass answers meet again in the next one', async (t) => {
  const { passes, runPass, finish } = manualEngine();
  const predict = stepBatcher(runPass, [8]);
  const walk = async (timesteps: number[]): Promise<void> => {
    for (const timestep of timesteps) await predict(row(timestep), { owner, signal: never });
  };
  const walks = Promise.all([walk([9, 8, 7]), walk([3, 2]), walk([5])]);
  for (let pass = 0; pass < 3; pass++) {
    await settle();
    finish(passes.at(-1));
  }
  await walks;
  t.deepEqual(
    passes.map(({ timesteps }) => timesteps),
    [[9, 3, 5], [8, 2], [7]],
  );
});

test('a waiting row that is taken back never reaches the engine, and its neighbours are answered', async (t) => {
  const { passes, runPass, finish } = manualEngine();
  const predict = stepBatcher(runPass, [1]);
  const cancel = new AbortController();
  const first = predict(row(1), { owner, signal: never });
  const second = predict(row(2), { owner, signal: cancel.signal });
  const third = predict(row(3), { owner, signal: never });
  await settle();
  cancel.abort(new DiffusionError('CANCELLED', 'enough'));
  await t.throwsAsync(second, { message: 'enough' });
  finish(passes[0]);
  await settle();
  finish(passes[1]);
  t.deepEqual(
    (await Promise.all([first, third])).map(([value]) => value),
    [2, 6],
  );
  t.deepEqual(
    passes.map(({ timesteps }) => timesteps),
    [[1], [3]],
  );
});

test('a row that is taken back during its pass is let go at once', async (t) => {
  const { passes, runPass, finish } = manualEngine();
  const predict = stepBatcher(runPass, [2]);
  const cancel = new AbortController();
  const cancelled = predict(row(1), { owner, signal: cancel.signal });
  const neighbour = predict(row(2), { owner, signal: never });
  await settle();
  cancel.abort(new DiffusionError('CANCELLED', 'enough'));
  await t.throwsAsync(cancelled, { message: 'enough' });
  finish(passes[0]);
  t.deepEqual([...(await neighbour)], [4]);
});

test('a row of an aborted call is refused', async (t) => {
  const { passes, runPass } = manualEngine();
  const predict = stepBatcher(runPass, [2]);
  await t.throwsAsync(predict(row(1), { owner, signal: AbortSignal.abort('gone') }), {
    message: /was cancelled/,
  });
  await settle();
  t.is(passes.length, 0);
});

test('a pass that fails fails its own rows only', async (t) => {
  const { passes, runPass, finish } = manualEngine();
  const predict = stepBatcher(runPass, [2]);
  const answers = [1, 2, 3].map((timestep) => predict(row(timestep), { owner, signal: never }));
  await settle();
  passes[0]?.done.reject(new DiffusionError('INTERNAL', 'a bad pass'));
  await t.throwsAsync(Promise.race([answers[0], answers[1]]), { message: 'a bad pass' });
  await t.throwsAsync(Promise.resolve(answers[1]), { message: 'a bad pass' });
  await settle();
  finish(passes[1]);
  t.deepEqual((await answers[2])?.[0], 6);
});

test('a row is notified when its pass begins', async (t) => {
  const { passes, runPass, finish } = manualEngine();
  const predict = stepBatcher(runPass, [1]);
  const started: number[] = [];
  const ask = (timestep: number) =>
    predict(row(timestep), { owner, signal: never, onStart: () => started.push(timestep) });
  const answers = [ask(1), ask(2)];
  await settle();
  t.deepEqual(started, [1]);
  finish(passes[0]);
  await settle();
  t.deepEqual(started, [1, 2]);
  finish(passes[1]);
  await Promise.all(answers);
});

test('large outputs are handed out in several turns of the event loop, and the next pass is full all the same', async (t) => {
  const passSizes: number[] = [];
  const runPass = (rows: readonly NetworkRow[]): Promise<Float32Array[]> => {
    passSizes.push(rows.length);
    return Promise.resolve(rows.map(() => new Float32Array(60_000)));
  };
  const predict = stepBatcher(runPass, [8]);
  const walk = async (): Promise<void> => {
    await predict(row(1), { owner, signal: never });
    await predict(row(0), { owner, signal: never });
  };
  await Promise.all([walk(), walk(), walk()]);
  t.deepEqual(passSizes, [3, 3]);
});
