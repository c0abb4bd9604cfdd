/** How a sampler that stops ends its calls. */

import test from 'ava';

import { runningCalls } from '../../services/sampler/running-calls.js';
import { whenAborted } from '../../shared/foundation/index.js';

const client = (): AbortSignal => new AbortController().signal;

test('calls that end while the service drains are left alone, and no new ones begin', async (t) => {
  const calls = runningCalls();
  const call = calls.begin(client());
  const stopped = calls.stop(60_000, 60_000);
  t.throws(() => calls.begin(client()), { message: /stopping/ });
  call.ended();
  await stopped;
  t.false(call.signal.aborted);
});

test('what has not ended by then is ended, and waited for', async (t) => {
  const calls = runningCalls();
  const call = calls.begin(client());
  const stopped = calls.stop(0, 60_000);
  await whenAborted(call.signal);
  t.like(call.signal.reason, { code: 'UNAVAILABLE', reason: 'SERVICE_STOPPING' });
  call.ended();
  await stopped;
});

test('a call that never ends does not keep the service', async (t) => {
  const calls = runningCalls();
  calls.begin(client());
  await calls.stop(0, 5);
  t.pass();
});
