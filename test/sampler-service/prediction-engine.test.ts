import { setTimeout } from 'node:timers/promises';

import test from 'ava';

import { ENGINE_LOST, startPredictionEngine } from '../../services/sampler/prediction-engine.js';
import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { UNCONDITIONAL } from '../../shared/sampler/index.js';
import { resolveRecipe, unetConfig } from '../../shared/recipe/index.js';
import { enginePids } from './engine-pids.js';
import { BEHAVIOURS, fakeEngine } from './fake-engine.js';

const recipe = resolveRecipe({ dataset: { imageSize: 8, channels: 3 } }, 'tiny');
const { inChannels, outChannels } = unetConfig(recipe);
const row = { xT: new Float32Array(8 * 8 * inChannels), t: 7, y: UNCONDITIONAL };

const start = (step: number, { signal = new AbortController().signal, reported = [] as unknown[] } = {}) =>
  startPredictionEngine(
    {
      commit: { job: 'a-job', model: 'tiny', step, attempt: 1 },
      object: { name: 'weights.safetensors', size: 1, sha256: 'a'.repeat(64) },
      recipe,
      precision: 'float32',
      weights: 0.99,
    },
    { kind: 'local', folder: 'none' },
    fakeEngine(),
    { signal, clock: systemClock, report: (error) => reported.push(error.cause), warn: () => undefined },
  );

test('an engine answers each row', async (t) => {
  const engine = await start(1);
  const outputs = await engine.predict([row, row, row]);
  t.deepEqual(
    outputs.map(({ length }) => length),
    Array.from({ length: 3 }, () => 8 * 8 * outChannels),
  );
  await engine.close();
});

const { saysNothingWeKnow, saysNull, writesJunk, failsWithoutAnError, loadsOtherSizes } = BEHAVIOURS;
for (const step of [saysNothingWeKnow, saysNull, writesJunk, failsWithoutAnError, loadsOtherSizes]) {
  test(`an engine that loads with a message unknown to us is ended: ${step}`, async (t) => {
    const error = await t.throwsAsync(start(step), { instanceOf: DiffusionError });
    t.is(error.reason, ENGINE_LOST);
  });
}

const { loadsTwice, answersTooLittle, answersAnotherPass } = BEHAVIOURS;
for (const step of [loadsTwice, answersTooLittle, answersAnotherPass]) {
  test(`an engine that answers a pass with a wrong message is ended: ${step}`, async (t) => {
    const engine = await start(step);
    const error = await t.throwsAsync(engine.predict([row]), { instanceOf: DiffusionError });
    t.is(error.reason, ENGINE_LOST);
    await engine.close();
  });
}

test('the messages of a broken engine are in the log, and not sent to clients', async (t) => {
  const reported: unknown[] = [];
  const error = await t.throwsAsync(start(saysNothingWeKnow, { reported }));
  t.deepEqual(reported, ["it sent { kind: 'hello' }"]);
  t.notRegex(error.message, /hello/);
});

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip;

onLinux('an engine that nobody waits for any more is ended before it has loaded', async (t) => {
  const others = await enginePids();
  const gone = new AbortController();
  const reported: unknown[] = [];
  const starting = start(BEHAVIOURS.neverLoads, { signal: gone.signal, reported });
  while ((await enginePids()).length === others.length) await setTimeout(10);
  gone.abort(new DiffusionError('CANCELLED', 'nobody waits'));
  await t.throwsAsync(starting, { message: 'nobody waits' });
  t.deepEqual(await enginePids(), others);
  t.deepEqual(reported, []);
});

test('an engine that nobody wants is not started', async (t) => {
  const signal = AbortSignal.abort(new DiffusionError('CANCELLED', 'nobody waits'));
  await t.throwsAsync(start(1, { signal }), { message: 'nobody waits' });
});
