import { setImmediate } from 'node:timers/promises';

import test from 'ava';

import type { EngineSource } from '../../services/sampler/engine-process/messages.js';
import type { LoadedModel } from '../../services/sampler/loaded-model.js';
import type { FailedLoad } from '../../services/sampler/failed-loads.js';
import { loadedModels, type Lease, type Wanted } from '../../services/sampler/loaded-models.js';
import { deferred, DiffusionError, type Deferred } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';

const recipe = resolveRecipe({}, 'tiny');
/** What an engine without weights is estimated to take. */
const ENGINE = 640 * 1024 ** 2;

/** Weights of a model of their own, where no model is named. */
function source(step: number, model = `model-${step}`): EngineSource {
  return {
    commit: { job: `job-of-${model}`, model, step, attempt: 1 },
    object: { name: 'weights.safetensors', size: 1, sha256: 'a'.repeat(64) },
    recipe,
    precision: 'float32',
    weights: 'raw',
  };
}

/** A loader that writes down what it loads and closes, by step. Steps from 100 on load when the test lets them. */
function fixture(
  capacity: number,
  fail: (step: number) => Error | undefined = () => undefined,
  maxBytes = Infinity,
) {
  const loaded: number[] = [];
  const closed: number[] = [];
  const loading = new Map<number, Deferred<void>>();
  let nowMs = 0;
  let peakBytes = ENGINE;
  const failures: FailedLoad[] = [];
  const load = async ({ commit: { step } }: EngineSource, ending: AbortSignal): Promise<LoadedModel> => {
    loaded.push(step);
    const error = fail(step);
    if (error !== undefined) throw error;
    if (step >= 100) {
      const finished = deferred();
      loading.set(step, finished);
      const onAbort = (): void => {
        closed.push(step);
        finished.reject(ending.reason);
      };
      ending.addEventListener('abort', onAbort);
      await finished.promise;
      ending.removeEventListener('abort', onAbort);
    }
    const close = (): Promise<void> => {
      closed.push(step);
      return Promise.resolve();
    };
    return { predict: () => Promise.resolve(Float32Array.of(step)), peakBytes: () => peakBytes, close };
  };
  const clock = { wallMs: () => 0, monotonicMs: () => nowMs };
  const models = loadedModels({
    ...{ capacity, maxBytes, load, clock },
    onFailed: (failed) => failures.push(failed),
  });
  const acquire = (step: number, wanted: Wanted = 'exact', model?: string): Promise<Lease> =>
    models.acquire(source(step, model), wanted, new AbortController().signal);
  return {
    models,
    acquire,
    loaded,
    closed,
    failures,
    takes: (bytes: number) => {
      peakBytes = bytes;
    },
    finish: (step: number, error?: Error) => {
      if (error === undefined) loading.get(step)?.resolve();
      else loading.get(step)?.reject(error);
    },
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

test('fifty calls that want the same weights load them once [fault 103]', async (t) => {
  const { acquire, loaded } = fixture(1);
  await Promise.all(Array.from({ length: 50 }, () => acquire(1)));
  t.deepEqual(loaded, [1]);
});

test('the least recently used model is ended for a new one', async (t) => {
  const { acquire, loaded, closed } = fixture(2);
  for (const step of [1, 2, 1, 3]) (await acquire(step)).release();
  t.deepEqual(loaded, [1, 2, 3]);
  t.deepEqual(closed, [2]);
});

test('a model in use is never closed: where all are in use, another one is refused with a delay', async (t) => {
  const { acquire, closed } = fixture(2);
  const first = await acquire(1);
  await acquire(2);
  const error = await t.throwsAsync(acquire(3), { instanceOf: DiffusionError });
  t.is(error.code, 'RESOURCE_EXHAUSTED');
  t.is(error.reason, 'MODELS_PINNED');
  t.truthy(error.retryAfterMs);
  t.deepEqual(closed, []);
  first.release();
  await acquire(3);
  t.deepEqual(closed, [1]);
});

test('releasing a lease twice releases it once', async (t) => {
  const { acquire } = fixture(1);
  const lease = await acquire(1);
  await acquire(1);
  lease.release();
  lease.release();
  await t.throwsAsync(acquire(2), { message: /in use/ });
});

test('a load that fails because of the store is tried again by the next call', async (t) => {
  let failing = true;
  const { acquire, loaded } = fixture(1, () =>
    failing ? new DiffusionError('STORE_UNAVAILABLE', 'no store') : undefined,
  );
  await t.throwsAsync(acquire(1), { message: 'no store' });
  failing = false;
  await acquire(1);
  t.deepEqual(loaded, [1, 1]);
});

test('an engine that fails to load is not started by every call, but after 5 s, then 10 s, and so on up to 5 minutes, and each failure is announced [fault 102]', async (t) => {
  let failing = true;
  const { acquire, loaded, failures, pass } = fixture(1, () =>
    failing ? new DiffusionError('ENGINE_LOST', 'the engine process was killed') : undefined,
  );
  await t.throwsAsync(acquire(1), { message: /was killed/ });
  for (const [i, seconds] of [5, 10, 20, 40, 80, 160, 300, 300].entries()) {
    pass(1000 * seconds - 1);
    const error = await t.throwsAsync(acquire(1), { instanceOf: DiffusionError });
    t.is(error.reason, 'ENGINE_LOST');
    t.is(error.retryAfterMs, 1);
    t.is(loaded.length, i + 1);
    pass(1);
    await t.throwsAsync(acquire(1));
    t.is(loaded.length, i + 2);
    t.is(failures[i]?.retryAfterMs, 1000 * seconds);
  }
  failing = false;
  pass(300_000);
  await acquire(1);
  t.is(loaded.length, 10);
});

test('models are ended by their bytes, the least recently used first [fault 103]', async (t) => {
  const { acquire, closed, models } = fixture(10, undefined, 3 * ENGINE + 100);
  for (const step of [1, 2, 3]) (await acquire(step)).release();
  t.deepEqual(closed, []);
  (await acquire(1)).release();
  (await acquire(4)).release();
  t.deepEqual(closed, [2]);
  t.deepEqual(models.list('model-4')[0]?.bytes, ENGINE);
});

test('what an engine takes counts once it has said so', async (t) => {
  const { acquire, closed, takes } = fixture(10, undefined, 3 * ENGINE + 100);
  for (const step of [1, 2]) (await acquire(step)).release();
  t.deepEqual(closed, []);
  takes(1.2 * ENGINE);
  (await acquire(3)).release();
  t.deepEqual(closed, [1]);
});

test('a model in use is not ended for its bytes: another one is refused with a delay [fault 104]', async (t) => {
  const { acquire, closed } = fixture(10, undefined, 2 * ENGINE + 100);
  const leases = [await acquire(1), await acquire(2)];
  const error = await t.throwsAsync(acquire(3), { instanceOf: DiffusionError });
  t.is(error.reason, 'MODELS_PINNED');
  t.truthy(error.retryAfterMs);
  t.deepEqual(closed, []);
  leases[1]?.release();
  await acquire(3);
  t.deepEqual(closed, [2]);
});

test('a model that is larger than the limit alone is refused without a load', async (t) => {
  const { acquire, loaded } = fixture(10, undefined, ENGINE - 1);
  const error = await t.throwsAsync(acquire(1), { instanceOf: DiffusionError });
  t.is(error.reason, 'MODEL_TOO_LARGE');
  t.is(error.code, 'RESOURCE_EXHAUSTED');
  t.deepEqual(loaded, []);
});

test('a load that fails ends no loaded model', async (t) => {
  const { acquire, loaded, closed, finish } = fixture(1);
  (await acquire(1)).release();
  const second = acquire(100);
  await setImmediate();
  finish(100, new DiffusionError('OBJECT_DAMAGED', 'a flipped bit'));
  await t.throwsAsync(second, { message: 'a flipped bit' });
  await acquire(1);
  t.deepEqual(loaded, [1, 100]);
  t.deepEqual(closed, []);
});

test('damaged weights are read again after a minute, then two, and so on up to an hour [fault 102]', async (t) => {
  const { acquire, loaded, pass } = fixture(1, () => new DiffusionError('OBJECT_DAMAGED', 'a flipped bit'));
  const ask = () => t.throwsAsync(acquire(1), { message: 'a flipped bit' });
  await ask();
  for (const [reads, minutes] of [1, 2, 4, 8, 16, 32, 60, 60, 60].entries()) {
    pass(minutes * 60_000 - 1);
    await ask();
    t.is(loaded.length, reads + 1);
    pass(1);
    await ask();
    t.is(loaded.length, reads + 2);
  }
});

test('repaired weights are loaded again', async (t) => {
  const damage = [true, true, false, true, true];
  const { acquire, loaded, pass } = fixture(1, (step) =>
    step === 1 && damage.shift() === true ? new DiffusionError('OBJECT_DAMAGED', 'a flipped bit') : undefined,
  );
  await t.throwsAsync(acquire(1));
  pass(60_000);
  await t.throwsAsync(acquire(1));
  pass(120_000);
  for (const step of [1, 2]) (await acquire(step)).release();
  await t.throwsAsync(acquire(1));
  pass(60_000);
  await t.throwsAsync(acquire(1));
  t.deepEqual(loaded, [1, 1, 1, 2, 1, 1]);
});

test('a caller that ends while a model loads does not end the load for the others, and pins nothing', async (t) => {
  const { acquire, models, closed, finish } = fixture(1);
  const gone = new AbortController();
  const first = models.acquire(source(100), 'exact', gone.signal);
  const second = acquire(100);
  gone.abort(new DiffusionError('CANCELLED', 'gone'));
  await t.throwsAsync(first, { message: 'gone' });
  finish(100);
  (await second).release();
  await acquire(2);
  t.deepEqual(closed, [100]);
});

async function abandon(models: ReturnType<typeof fixture>['models'], step: number): Promise<void> {
  const gone = new AbortController();
  const waiting = models.acquire(source(step), 'exact', gone.signal).catch(() => undefined);
  await setImmediate();
  gone.abort(new DiffusionError('CANCELLED', 'gone'));
  await waiting;
}

test('a load that nobody waits for any more continues while there is room, and serves the next call', async (t) => {
  const { models, acquire, loaded, closed, finish } = fixture(2);
  await acquire(1);
  await abandon(models, 100);
  finish(100);
  await acquire(100);
  t.deepEqual(loaded, [1, 100]);
  t.deepEqual(closed, []);
});

test('a load that nobody waits for is the first to end where another needs the room', async (t) => {
  const { models, acquire, closed } = fixture(2);
  (await acquire(1)).release();
  await abandon(models, 100);
  await acquire(2);
  t.deepEqual(closed, [100]);
});

test('a load in the extra place ends as soon as nobody waits for it', async (t) => {
  const { models, acquire, loaded, closed } = fixture(1);
  (await acquire(1)).release();
  await abandon(models, 100);
  t.deepEqual(closed, [100]);
  await acquire(1);
  t.deepEqual(loaded, [1, 100]);
});

test('a second load waits for the extra place, and is refused where it stays taken', async (t) => {
  const { acquire, loaded, finish } = fixture(2);
  for (const step of [1, 2]) (await acquire(step)).release();
  const [third, fourth] = [acquire(100), acquire(101)];
  await setImmediate();
  t.deepEqual(loaded, [1, 2, 100]);
  await acquire(1);
  await acquire(2);
  finish(100);
  await third;
  await t.throwsAsync(fourth, { message: /in use/ });
});

test('a newer checkpoint is loaded beside an older one that is in use, and replaces it', async (t) => {
  const { acquire, models, closed } = fixture(1);
  const old = await acquire(1, 'newest', 'tiny');
  await t.throwsAsync(acquire(2, 'exact', 'tiny'), { message: /in use/ });
  (await acquire(2, 'newest', 'tiny')).release();
  t.deepEqual(models.steps('tiny'), [2, 1]);
  t.deepEqual(closed, []);
  old.release();
  await setImmediate();
  t.deepEqual(models.steps('tiny'), [2]);
  t.deepEqual(closed, [1]);
});

test('where older checkpoints use the extra place, too, the newest is refused and loaded ones are served', async (t) => {
  const { acquire, loaded } = fixture(1);
  const first = await acquire(1, 'newest', 'tiny');
  await acquire(2, 'newest', 'tiny');
  await t.throwsAsync(acquire(3, 'newest', 'tiny'), { message: /in use/ });
  (await acquire(2, 'loaded', 'tiny')).release();
  await t.throwsAsync(acquire(3, 'loaded', 'tiny'), { message: /in use/ });
  first.release();
  await setImmediate();
  await acquire(3, 'newest', 'tiny');
  t.deepEqual(loaded, [1, 2, 3]);
});

test('closing ends every engine, also those that load, and no other is started', async (t) => {
  const { acquire, models, closed } = fixture(3);
  for (const step of [1, 2]) await acquire(step);
  const third = t.throwsAsync(acquire(100), { message: /stopping/ });
  await setImmediate();
  await models.close();
  t.deepEqual(
    closed.toSorted((a, b) => a - b),
    [1, 2, 100],
  );
  await third;
  await t.throwsAsync(acquire(4), { message: /stopping/ });
});
