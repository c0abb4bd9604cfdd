import test from 'ava';

import type { WeightsSource } from '../../services/sampler/engine-process/messages.js';
import type { LoadedModel } from '../../services/sampler/loaded-model.js';
import { loadedModels } from '../../services/sampler/loaded-models.js';
import { deferred, DiffusionError } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';

const recipe = resolveRecipe({}, 'tiny');
const signal = new AbortController().signal;

function source(step: number): WeightsSource {
  return {
    commit: { job: 'a-job', model: 'tiny', step, attempt: 1 },
    object: { name: 'weights.safetensors', size: 1, sha256: 'a'.repeat(64) },
    recipe,
    precision: 'float32',
  };
}

/** A loader that writes down what it loads and closes, by step. */
function fixture(capacity: number, fail: (step: number) => Error | undefined = () => undefined) {
  const loaded: number[] = [];
  const closed: number[] = [];
  let nowMs = 0;
  const load = ({ commit: { step } }: WeightsSource): Promise<LoadedModel> => {
    loaded.push(step);
    const error = fail(step);
    if (error !== undefined) return Promise.reject(error);
    const close = (): Promise<void> => {
      closed.push(step);
      return Promise.resolve();
    };
    return Promise.resolve({ predict: () => Promise.resolve(Float32Array.of(step)), close });
  };
  const clock = { wallMs: () => 0, monotonicMs: () => nowMs };
  const models = loadedModels({ capacity, load, clock });
  return {
    models,
    loaded,
    closed,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

test('fifty calls that want the same weights load them once', async (t) => {
  const { models, loaded } = fixture(1);
  await Promise.all(
    Array.from({ length: 50 }, () => models.acquire(source(1), new AbortController().signal)),
  );
  t.deepEqual(loaded, [1]);
});

test('the model that was unused longest makes room', async (t) => {
  const { models, loaded, closed } = fixture(2);
  for (const step of [1, 2, 1, 3]) (await models.acquire(source(step), signal)).release();
  t.deepEqual(loaded, [1, 2, 3]);
  t.deepEqual(closed, [2]);
});

test('a model in use is never closed: where all are, a further one is refused with a delay', async (t) => {
  const { models, closed } = fixture(2);
  const first = await models.acquire(source(1), signal);
  await models.acquire(source(2), signal);
  const error = await t.throwsAsync(models.acquire(source(3), signal), { instanceOf: DiffusionError });
  t.is(error.code, 'RESOURCE_EXHAUSTED');
  t.is(error.reason, 'MODELS_PINNED');
  t.truthy(error.retryAfterMs);
  t.deepEqual(closed, []);
  first.release();
  await models.acquire(source(3), signal);
  t.deepEqual(closed, [1]);
});

test('releasing a lease twice releases it once', async (t) => {
  const { models } = fixture(1);
  const lease = await models.acquire(source(1), signal);
  await models.acquire(source(1), signal);
  lease.release();
  lease.release();
  await t.throwsAsync(models.acquire(source(2), signal), { message: /in use/ });
});

test('a load that fails is tried again by the next call', async (t) => {
  let failing = true;
  const { models, loaded } = fixture(1, () =>
    failing ? new DiffusionError('UNAVAILABLE', 'no store') : undefined,
  );
  await t.throwsAsync(models.acquire(source(1), signal), { message: 'no store' });
  failing = false;
  await models.acquire(source(1), signal);
  t.deepEqual(loaded, [1, 1]);
});

test('damaged weights are read once a minute, not on every call', async (t) => {
  const { models, loaded, pass } = fixture(1, () => new DiffusionError('DATA_LOSS', 'a flipped bit'));
  const ask = () => t.throwsAsync(models.acquire(source(1), signal), { message: 'a flipped bit' });
  await ask();
  pass(59_000);
  await ask();
  t.is(loaded.length, 1);
  pass(2000);
  await ask();
  t.is(loaded.length, 2);
});

test('a caller that goes away while a model loads leaves the others waiting, and pins nothing', async (t) => {
  const loading = deferred<LoadedModel>();
  const closed: string[] = [];
  const models = loadedModels({
    capacity: 1,
    load: () => loading.promise,
    clock: { wallMs: () => 0, monotonicMs: () => 0 },
  });
  const gone = new AbortController();
  const first = models.acquire(source(1), gone.signal);
  const second = models.acquire(source(1), signal);
  gone.abort(new DiffusionError('CANCELLED', 'gone'));
  await t.throwsAsync(first, { message: 'gone' });
  loading.resolve({
    predict: () => Promise.resolve(Float32Array.of(0)),
    close: () => {
      closed.push('closed');
      return Promise.resolve();
    },
  });
  (await second).release();
  await models.acquire(source(2), signal);
  t.deepEqual(closed, ['closed']);
});

test('closing ends every engine', async (t) => {
  const { models, closed } = fixture(3);
  for (const step of [1, 2, 3]) await models.acquire(source(step), signal);
  await models.close();
  t.deepEqual(closed, [1, 2, 3]);
});
