/** How fast a caller may call, and how many calls it may have open. */

import test from 'ava';

import { callLimiter } from '../../shared/access/index.js';
import { DiffusionError, systemClock } from '../../shared/foundation/index.js';

function limiterAt(limits: { callsPerSecond: number; openCalls: number }) {
  let nowMs = 0;
  const limiter = callLimiter(limits, { ...systemClock, monotonicMs: () => nowMs });
  return {
    begin: (caller = 'alice') => limiter.begin(caller),
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

test('a caller that is too fast is told how long to wait, and others are not slowed down [fault 97]', (t) => {
  const { begin, pass } = limiterAt({ callsPerSecond: 10, openCalls: 1000 });
  for (let call = 0; call < 20; call++) begin()();
  const error = t.throws(() => begin(), { instanceOf: DiffusionError });
  t.is(error.reason, 'CALLS_LIMITED');
  t.is(error.retryAfterMs, 100);
  begin('bob')();
  pass(100);
  begin()();
  t.throws(() => begin());
  pass(60_000);
  for (let call = 0; call < 20; call++) begin()();
  t.throws(() => begin());
});

test('open calls are counted until they end, and a refused call is none [fault A16]', (t) => {
  const { begin } = limiterAt({ callsPerSecond: 100, openCalls: 2 });
  const first = begin();
  begin();
  t.throws(() => begin(), { instanceOf: DiffusionError, message: /2 open calls/ });
  begin('bob');
  first();
  begin();
  t.throws(() => begin());
});

test('callers with open calls are never forgotten, however many others come', (t) => {
  const { begin, pass } = limiterAt({ callsPerSecond: 100, openCalls: 1 });
  begin('alice');
  for (let n = 0; n < 5000; n++) {
    begin(`caller ${n}`)();
    pass(1000);
  }
  t.throws(() => begin('alice'));
});
