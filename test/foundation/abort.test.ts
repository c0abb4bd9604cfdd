import { getEventListeners } from 'node:events';

import test from 'ava';

import {
  abortError,
  deferred,
  DiffusionError,
  onAbort,
  pause,
  throwIfAborted,
  unlessAborted,
  whenAborted,
} from '../../shared/foundation/index.js';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

test('an action is called when the signal aborts, once', (t) => {
  const controller = new AbortController();
  let calls = 0;
  const stopListening = onAbort(controller.signal, () => {
    calls += 1;
  });
  t.is(calls, 0);
  controller.abort();
  controller.abort();
  stopListening();
  t.is(calls, 1);
});

test('an action is called at once where the signal has aborted already', (t) => {
  let calls = 0;
  onAbort(AbortSignal.abort(), () => {
    calls += 1;
  });
  t.is(calls, 1);
});

test('an action is not called after the listening has ended', (t) => {
  const controller = new AbortController();
  onAbort(controller.signal, () => {
    t.fail();
  })();
  t.is(listeners(controller.signal), 0);
  controller.abort();
  t.pass();
});

test('two listeners with the same action are told apart', (t) => {
  const controller = new AbortController();
  let calls = 0;
  const action = (): void => {
    calls += 1;
  };
  onAbort(controller.signal, action)();
  onAbort(controller.signal, action);
  onAbort(controller.signal, action);
  controller.abort();
  t.is(calls, 2);
});

test('a promise is awaited until the signal aborts, and no listener is left', async (t) => {
  const { signal } = new AbortController();
  t.is(await unlessAborted(Promise.resolve(7), signal), 7);
  await t.throwsAsync(unlessAborted(Promise.reject(new Error('failed')), signal), { message: 'failed' });
  t.is(await unlessAborted(Promise.resolve(8), undefined), 8);
  t.is(listeners(signal), 0);

  const controller = new AbortController();
  const waiting = unlessAborted(deferred().promise, controller.signal);
  controller.abort(new Error('enough'));
  await t.throwsAsync(waiting, { message: 'enough' });
  t.is(listeners(controller.signal), 0);
  await t.throwsAsync(unlessAborted(deferred().promise, controller.signal), { message: 'enough' });
});

test('a promise that rejects after the signal has aborted ends no process', async (t) => {
  const late = deferred();
  await t.throwsAsync(unlessAborted(late.promise, AbortSignal.abort(new Error('enough'))), {
    message: 'enough',
  });
  late.reject(new Error('nobody listens'));
  await new Promise(setImmediate);
});

test('whoever waits for a signal to abort is answered, before or after', async (t) => {
  const controller = new AbortController();
  const waiting = whenAborted(controller.signal);
  controller.abort();
  await waiting;
  await whenAborted(controller.signal);
  t.pass();
});

test('a pause ends with the signal, without an error', async (t) => {
  const controller = new AbortController();
  const pausing = pause(2 ** 30, controller.signal);
  controller.abort();
  await pausing;
  await pause(2 ** 30, controller.signal);
  await pause(1);
  t.is(listeners(controller.signal), 0);
});

test('a signal stands for its own error, a deadline, or a cancellation', (t) => {
  const own = new DiffusionError('SERVICE_STOPPING', 'the service stops');
  t.is(abortError(AbortSignal.abort(own), 'reading'), own);
  const timeout = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
  t.like(abortError(timeout, 'reading'), { code: 'DEADLINE_EXCEEDED', message: 'reading took too long' });
  for (const reason of [undefined, 'gone', new Error('gone')]) {
    const error = abortError(AbortSignal.abort(reason), 'reading');
    t.like(error, { code: 'CANCELLED', message: 'reading was cancelled' });
  }
  t.notThrows(() => {
    throwIfAborted(undefined, 'reading');
    throwIfAborted(new AbortController().signal, 'reading');
  });
  t.throws(
    () => {
      throwIfAborted(AbortSignal.abort(), 'reading');
    },
    { message: 'reading was cancelled' },
  );
});
