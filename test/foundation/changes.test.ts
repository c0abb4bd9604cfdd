import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import test from 'ava';

import { changes } from '../../shared/foundation/index.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

test('everybody who waits goes on at a change, and waits for the next one anew', async (t) => {
  const { notify, next } = changes();
  const first = [next(), next()];
  notify();
  await Promise.all(first);
  let done = false;
  const second = next().then(() => {
    done = true;
  });
  await setImmediate();
  t.false(done);
  notify();
  await second;
  t.true(done);
});

test('a wait ends with its signal, and others go on waiting', async (t) => {
  const { notify, next } = changes();
  const controller = new AbortController();
  const other = next(new AbortController().signal);
  const waiting = next(controller.signal);
  controller.abort(new Error('enough'));
  await t.throwsAsync(waiting, { message: 'enough' });
  await t.throwsAsync(next(controller.signal), { message: 'enough' });
  notify();
  await other;
});

test('nothing is kept of a wait that was aborted [fault 112]', async (t) => {
  const { notify, next } = changes();
  async function abortOne(): Promise<WeakRef<Error>> {
    const controller = new AbortController();
    const error = new Error('enough');
    const waiting = next(controller.signal);
    controller.abort(error);
    await waiting.catch(() => undefined);
    return new WeakRef(error);
  }
  const reason = await abortOne();
  for (let turn = 0; turn < 10 && reason.deref() !== undefined; turn++) {
    await setImmediate();
    gc();
  }
  t.is(reason.deref(), undefined);
  notify();
});
