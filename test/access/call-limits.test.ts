/** How fast a caller may call, and how many calls it may have open. */

import test from 'ava';

import { callLimiter, failedCalls } from '../../shared/access/index.js';
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

test('an address whose calls fail to authenticate is slowed down, and others are not [fault A34]', (t) => {
  let nowMs = 0;
  const failed = failedCalls(60, { ...systemClock, monotonicMs: () => nowMs });
  for (let call = 0; call < 60; call++) {
    failed.refuse('1.2.3.4');
    failed.count('1.2.3.4');
  }
  const refuse = () => {
    failed.refuse('1.2.3.4');
  };
  t.like(t.throws(refuse, { instanceOf: DiffusionError }), {
    code: 'RESOURCE_EXHAUSTED',
    reason: 'CALLS_LIMITED',
    retryAfterMs: 1000,
  });
  t.notThrows(() => {
    failed.refuse('1.2.3.5');
  });
  nowMs += 1000;
  t.notThrows(refuse);
  failed.count('1.2.3.4');
  t.throws(refuse);
  nowMs += 60_000;
  for (let call = 0; call < 60; call++) failed.count('1.2.3.4');
  t.throws(refuse);
});

test('0 failed calls a minute stand for no limit', (t) => {
  const failed = failedCalls(0, systemClock);
  for (let call = 0; call < 1000; call++) failed.count('1.2.3.4');
  t.notThrows(() => {
    failed.refuse('1.2.3.4');
  });
});
