import test from 'ava';

import { loadModel } from '../../services/sampler/loaded-model.js';
import { ENGINE_LOST, type PredictionEngine } from '../../services/sampler/prediction-engine.js';
import { passGates } from '../../services/sampler/pass-gate.js';
import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { UNCONDITIONAL } from '../../shared/sampler/index.js';
import { ownerOf } from './owners.js';

const engineLost = (): DiffusionError => new DiffusionError(ENGINE_LOST, 'the engine process is gone');
const owner = ownerOf();
const signal = new AbortController().signal;
const row = { xT: Float32Array.of(0), t: 7, y: UNCONDITIONAL };

/** Engines whose every pass does the next thing of the plan. */
function engines(plan: (() => Float32Array[])[]) {
  const seen = { started: 0, closed: 0 };
  const start = (): Promise<PredictionEngine> => {
    seen.started += 1;
    return Promise.resolve({
      batchSizes: [4],
      peakBytes: () => 1,
      predict: () => Promise.resolve().then(() => plan.shift()?.() ?? []),
      close: () => {
        seen.closed += 1;
        return Promise.resolve();
      },
    });
  };
  return {
    seen,
    options: { start, gates: passGates(systemClock), clock: systemClock },
  };
}

const answer = (): Float32Array[] => [Float32Array.of(5)];
const crash = (): never => {
  throw engineLost();
};

test('rows of a crashed engine are answered by a new one [fault 105]', async (t) => {
  const { seen, options } = engines([crash, answer]);
  const model = await loadModel(options);
  t.deepEqual(await model.predict(row, { owner, signal }), Float32Array.of(5));
  t.like(seen, { started: 2 });
});

test('rows whose two engines crash fail, and the next row gets a third engine [fault 105]', async (t) => {
  const { seen, options } = engines([crash, crash, crash, answer]);
  const model = await loadModel(options);
  const error = await t.throwsAsync(model.predict(row, { owner, signal }), { instanceOf: DiffusionError });
  t.is(error.code, 'UNAVAILABLE');
  t.deepEqual(await model.predict(row, { owner, signal }), Float32Array.of(5));
  t.is(seen.started, 3);
});

test('any other error fails only its rows, and the engine stays', async (t) => {
  const fail = (): never => {
    throw new DiffusionError('ENGINE_OUT_OF_MEMORY', 'out of memory');
  };
  const { seen, options } = engines([fail, answer]);
  const model = await loadModel(options);
  await t.throwsAsync(model.predict(row, { owner, signal }), { message: 'out of memory' });
  t.deepEqual(await model.predict(row, { owner, signal }), Float32Array.of(5));
  t.is(seen.started, 1);
});

test('a replacement that can’t start fails the rows, and the next row tries again', async (t) => {
  const { options } = engines([crash, crash, answer]);
  const failures = [undefined, new DiffusionError('CHECKPOINT_NOT_FOUND', 'removed meanwhile'), undefined];
  const model = await loadModel({
    ...options,
    start: () => {
      const failure = failures.shift();
      return failure === undefined ? options.start() : Promise.reject(failure);
    },
  });
  await t.throwsAsync(model.predict(row, { owner, signal }), { message: 'removed meanwhile' });
  t.deepEqual(await model.predict(row, { owner, signal }), Float32Array.of(5));
});

test('closing ends the engine, and a failed pass starts no other', async (t) => {
  const { seen, options } = engines([crash]);
  const model = await loadModel(options);
  const pass = model.predict(row, { owner, signal });
  await model.close();
  await t.throwsAsync(pass, { message: /gone/ });
  t.like(seen, { started: 1, closed: 1 });
});
