/** What a running call keeps in memory. */

import { getEventListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import test from 'ava';

import { generateImages } from '../../services/sampler/generation.js';
import type { ImageSeries } from '../../services/sampler/resolve-generation.js';
import { runningCalls } from '../../services/sampler/running-calls.js';
import { stepBatcher } from '../../services/sampler/step-batcher.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { imageNoise, samplerPlan } from '../../shared/sampler/index.js';
import { ownerOf } from './owners.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const COUNT = 300;
const WINDOW = 8;
const MAX_ROWS = 4;
const STEPS = 3;
const SIDE = 16;

const series: ImageSeries = {
  task: 'generate',
  count: COUNT,
  seed: 7n,
  plan: samplerPlan(
    { sampler: 'ancestral', steps: STEPS },
    {
      ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 50 })),
      meanType: 'epsilon',
      varianceType: 'fixed_large',
      channels: 1,
    },
  ),
  shape: { width: SIDE, height: SIDE, channels: 1 },
  format: 'raw_float32',
  reports: { previewEverySteps: 1, trajectoryEverySteps: 1, resumeTokenEverySteps: 1 },
  stepsTotal: COUNT * STEPS,
  evaluations: COUNT * STEPS,
  resumable: { requestSha256: 'def', checkpointStep: 5, weights: 'raw', weightsSha256: 'abc' },
  taskAt: (index) => ({ index, options: { noise: imageNoise(7n, index, SIDE ** 2) } }),
};

test('a call holds neither the messages that were taken nor the outputs of old passes [fault A2]', async (t) => {
  const outputs: WeakRef<Float32Array>[] = [];
  const messages: WeakRef<object>[] = [];
  const predict = stepBatcher(
    (rows) => {
      const given = rows.map(({ xT }) => xT.map((value) => value / 2));
      outputs.push(...given.map((output) => new WeakRef(output)));
      return Promise.resolve(given);
    },
    [MAX_ROWS],
  );
  const client = new AbortController();
  const { signal, ended } = runningCalls().begin(client.signal);
  const clock = { wallMs: () => 0, monotonicMs: () => 0 };
  let most = { outputs: 0, messages: 0, listeners: 0 };
  let images = 0;
  const context = {
    ...{ predict, owner: ownerOf(), window: WINDOW, signal, clock, calledMs: 0 },
    onStep: () => undefined,
    tokenKey: Buffer.alloc(32),
  };
  for await (const event of generateImages(series, context)) {
    messages.push(new WeakRef(event));
    if (event.$case !== 'image' || ++images % 50 !== 0) continue;
    await setImmediate();
    collectGarbage();
    const alive = (refs: readonly WeakRef<object>[]) =>
      refs.filter((ref) => ref.deref() !== undefined).length;
    most = {
      outputs: Math.max(most.outputs, alive(outputs)),
      messages: Math.max(most.messages, alive(messages)),
      listeners: Math.max(
        most.listeners,
        ...[client.signal, signal].map((of) => getEventListeners(of, 'abort').length),
      ),
    };
  }
  ended();
  t.is(images, COUNT);
  t.true(outputs.length >= COUNT * STEPS);
  t.true(most.outputs <= WINDOW + 2 * MAX_ROWS, `${most.outputs} outputs`);
  t.true(most.messages <= 2, `${most.messages} messages`);
  t.is(most.listeners, 0);
});
