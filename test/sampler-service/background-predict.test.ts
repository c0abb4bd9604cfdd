/** Rows of work that nobody waits for: they hold no place, and are computed again where their engine was ended. */

import test from 'ava';

import { backgroundPredict } from '../../services/sampler/measuring/background-predict.js';
import type { EngineSource } from '../../services/sampler/engine-process/messages.js';
import type { Lease } from '../../services/sampler/loaded-models.js';
import { ENGINE_LOST } from '../../services/sampler/prediction-engine.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { UNCONDITIONAL } from '../../shared/sampler/index.js';

const row = { xT: Float32Array.of(0), t: 7, y: UNCONDITIONAL };
const source = {} as EngineSource;
const lost = (): DiffusionError => new DiffusionError(ENGINE_LOST, 'the engine process is gone');

/** Models of which each acquiring does the next thing of the plan: an engine, or an error. */
function models(plan: (Lease['predict'] | DiffusionError)[]) {
  const seen = { acquired: 0, held: 0, priorities: new Set<string>() };
  const acquire = (): Promise<Lease> => {
    const next = plan[Math.min(seen.acquired, plan.length - 1)];
    seen.acquired += 1;
    if (next === undefined || next instanceof DiffusionError) return Promise.reject(next ?? lost());
    seen.held += 1;
    const predict: Lease['predict'] = (asked, options) => {
      seen.priorities.add(options.owner.priority);
      return next(asked, options);
    };
    return Promise.resolve({ predict, release: () => (seen.held -= 1) });
  };
  return { seen, models: { acquire } };
}

const answers: Lease['predict'] = () => Promise.resolve(Float32Array.of(5));
const dies: Lease['predict'] = () => Promise.reject(lost());
const { signal } = new AbortController();
const of = (plan: Parameters<typeof models>[0]) => {
  const { seen, models: of_ } = models(plan);
  return { seen, predict: backgroundPredict({ models: of_, source, caller: 'me', signal, retryMs: 1 }) };
};

test('rows are of the class "batch", share one engine, and hold no place', async (t) => {
  const { seen, predict } = of([answers]);
  const outputs = await Promise.all(Array.from({ length: 5 }, () => predict(row)));
  t.true(outputs.every(([value]) => value === 5));
  t.deepEqual([seen.acquired, seen.held, [...seen.priorities]], [1, 0, ['batch']]);
});

test('where the engine was ended for another model, its rows are computed again once there is a place', async (t) => {
  const pinned = new DiffusionError('MODELS_PINNED', 'all places are in use');
  const { seen, predict } = of([dies, pinned, pinned, pinned, pinned, answers]);
  const outputs = await Promise.all([predict(row), predict(row), predict(row)]);
  t.true(outputs.every(([value]) => value === 5));
  t.is(seen.acquired, 6);
});

test('engines that die one after the other end the measurement, and so does what will not pass', async (t) => {
  const { seen, predict } = of([dies]);
  await t.throwsAsync(predict(row), { message: 'the engine process is gone' });
  t.is(seen.acquired, 3);
  const damaged = of([new DiffusionError('OBJECT_DAMAGED', 'a flipped bit')]);
  await t.throwsAsync(damaged.predict(row), { message: 'a flipped bit' });
  t.is(damaged.seen.acquired, 1);
});

test('a cancelled measurement asks for nothing more', async (t) => {
  const stopping = new AbortController();
  const { seen, models: of_ } = models([new DiffusionError('MODELS_PINNED', 'all places are in use')]);
  const predict = backgroundPredict({
    models: of_,
    source,
    caller: 'me',
    signal: stopping.signal,
    retryMs: 60_000,
  });
  const asked = predict(row);
  setImmediate(() => {
    stopping.abort(new DiffusionError('CANCELLED', 'the measurement was cancelled'));
  });
  await t.throwsAsync(asked, { message: 'the measurement was cancelled' });
  t.is(seen.acquired, 1);
});
