import { setImmediate } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import { admission, type Place, type QueuePlace } from '../../services/sampler/admission.js';
import type { AdmissionLimits } from '../../services/sampler/admission-limits.js';
import { newCall, type Owner } from '../../services/sampler/priorities.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { ownerOf } from './owners.js';

const LIMITS: AdmissionLimits = {
  ...{ calls: 8, cost: 800, bytes: 800, waiting: 6, requestBytes: 100, callerShare: 1 },
};

function fixture(limits: Partial<AdmissionLimits> = {}) {
  let nowMs = 0;
  const clock = { wallMs: () => 0, monotonicMs: () => nowMs };
  const gate = admission({ ...LIMITS, ...limits }, clock);
  const ask = (owner: Partial<Owner> = {}, cost = 10, bytes = 10) => {
    const gone = new AbortController();
    const queued: QueuePlace[] = [];
    let place: Place | undefined;
    const entered = gate.enter(ownerOf(owner), { cost, bytes }, gone.signal, (at) => queued.push(at));
    entered.then(
      (given) => (place = given),
      () => undefined,
    );
    return {
      entered,
      queued,
      leave: (reason: DiffusionError) => {
        gone.abort(reason);
      },
      begun: async () => {
        await setImmediate();
        return place !== undefined;
      },
      done: (of: number) => place?.done(of),
      release: () => place?.release(),
    };
  };
  return {
    gate,
    ask,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

async function refusal(t: ExecutionContext, promise: Promise<unknown>): Promise<DiffusionError> {
  return t.throwsAsync(promise, { instanceOf: DiffusionError });
}

test('a call begins at once where there is room, and says nothing of a queue', async (t) => {
  const { ask, gate } = fixture();
  const call = ask();
  t.true(await call.begun());
  t.deepEqual(call.queued, []);
  t.deepEqual(gate.held, { calls: 1, cost: 10, bytes: 10, waiting: 0, requestBytes: 0 });
  call.release();
  call.release();
  t.deepEqual(gate.held, { calls: 0, cost: 0, bytes: 0, waiting: 0, requestBytes: 0 });
});

for (const [limit, limits, cost, bytes] of [
  ['calls', { calls: 1 }, 1, 1],
  ['cost', {}, 500, 1],
  ['bytes', {}, 1, 500],
] as const)
  test(`a call that is above the limit of ${limit} waits until another one has ended`, async (t) => {
    const { ask } = fixture(limits);
    const first = ask({ priority: 'interactive' }, cost, bytes);
    const second = ask({ priority: 'interactive' }, cost, bytes);
    t.true(await first.begun());
    t.false(await second.begun());
    t.is(second.queued.at(-1)?.position, 1);
    first.release();
    t.true(await second.begun());
  });

test('cost is given back as images are computed, not at the end of a call', async (t) => {
  const { ask } = fixture();
  const first = ask({ priority: 'interactive' }, 800);
  const second = ask({ priority: 'interactive' }, 200);
  t.false(await second.begun());
  first.done(150);
  t.false(await second.begun());
  first.done(50);
  t.true(await second.begun());
});

test('a call that is larger than its limits is refused, without a delay after which it would be served [fault 93, A16]', async (t) => {
  const { ask } = fixture({ callerShare: 0.5 });
  const refusals = [
    [ask({ priority: 'interactive' }, 401), 'TOO_MANY_EVALUATIONS'],
    [ask({ priority: 'batch' }, 401), 'TOO_MANY_EVALUATIONS'],
    [ask({}, 1, 401), 'CALL_TOO_LARGE'],
  ] as const;
  for (const [call, reason] of refusals) {
    const error = await refusal(t, call.entered);
    t.is(error.reason, reason);
    t.is(error.code, 'RESOURCE_EXHAUSTED');
    t.is(error.retryAfterMs, undefined);
  }
});

test('where too many calls wait, another one is refused with a delay, and holds nothing [fault 97, A16]', async (t) => {
  const { ask, gate } = fixture({ calls: 1, waiting: 2 });
  const calls = Array.from({ length: 3 }, () => ask({ priority: 'interactive' }));
  const error = await refusal(t, ask({ priority: 'interactive' }).entered);
  t.is(error.reason, 'BUSY');
  t.is(error.code, 'RESOURCE_EXHAUSTED');
  t.truthy(error.retryAfterMs);
  t.is(gate.held.waiting, 2);
  t.true(await calls[0]?.begun());
});

test('one caller can take neither all places nor the whole queue [fault 97, A16]', async (t) => {
  const { ask } = fixture({ calls: 4, waiting: 4, callerShare: 0.5 });
  const asA = () => ask({ caller: 'a', priority: 'interactive' });
  const ofA = [asA(), asA(), asA(), asA()];
  t.deepEqual(await Promise.all(ofA.map((call) => call.begun())), [true, true, false, false]);
  t.is((await refusal(t, asA().entered)).reason, 'BUSY');
  const ofB = ask({ caller: 'b' });
  t.true(await ofB.begun(), 'another caller passes those who wait for their own calls');
});

test('batch calls leave room for others, and interactive ones can have all of it', async (t) => {
  const { ask } = fixture();
  const begun = async (priority: Owner['priority'], count: number): Promise<number> => {
    const calls = Array.from({ length: count }, () => ask({ priority }));
    return (await Promise.all(calls.map((call) => call.begun()))).filter(Boolean).length;
  };
  t.is(await begun('batch', 6), 4);
  t.is(await begun('normal', 3), 2);
  t.is(await begun('interactive', 3), 2);
});

test('where only one call may run, calls of every class and caller do', async (t) => {
  const { ask } = fixture({ calls: 1, callerShare: 0.5 });
  for (const priority of ['batch', 'normal', 'interactive'] as const) {
    const call = ask({ priority });
    t.true(await call.begun());
    call.release();
  }
});

test('in a class the caller with the fewest running calls is next', async (t) => {
  const { ask } = fixture({ calls: 3 });
  const asked = (caller: string) => ask({ caller, priority: 'interactive' });
  const [first, , , waitsA, waitsB] = [asked('a'), asked('a'), asked('b'), asked('a'), asked('b')];
  t.is(waitsA.queued.at(-1)?.position, 2);
  t.is(waitsB.queued.at(-1)?.position, 1);
  t.true(await first.begun());
  first.release();
  t.deepEqual(await Promise.all([waitsA.begun(), waitsB.begun()]), [true, false]);
});

test('a large call that waits for room is not passed for ever by small ones', async (t) => {
  const { ask } = fixture();
  const running = ask({ priority: 'interactive' }, 400);
  t.true(await running.begun());
  const large = ask({ priority: 'interactive', caller: 'b' }, 700);
  const small = ask({ priority: 'interactive', caller: 'c' }, 10);
  t.deepEqual(await Promise.all([large.begun(), small.begun()]), [false, false]);
  running.release();
  t.deepEqual(await Promise.all([large.begun(), small.begun()]), [true, true]);
});

test('a class below gets places too, however many calls wait above it', async (t) => {
  const { ask } = fixture({ calls: 2, waiting: 100 });
  const last = ask({ priority: 'interactive' });
  const batch = ask({ priority: 'batch' });
  for (let i = 0; i < 40; i++)
    ask({ priority: 'interactive' }).entered.then((place) => {
      place.release();
    }, t.fail);
  t.true(await last.begun());
  last.release();
  t.true(await batch.begun());
});

test('a call whose deadline passes while it waits is dropped at once, and its place in the queue is free [fault 21]', async (t) => {
  const { ask, gate } = fixture({ calls: 1 });
  const running = ask({ priority: 'interactive' });
  const late = ask({ priority: 'interactive' });
  const next = ask({ priority: 'interactive' });
  t.is(next.queued.at(-1)?.position, 2);
  late.leave(new DiffusionError('DEADLINE_EXCEEDED', 'the deadline passed'));
  t.is((await refusal(t, late.entered)).code, 'DEADLINE_EXCEEDED');
  t.is(next.queued.at(-1)?.position, 1);
  t.is(gate.held.waiting, 1);
  running.release();
  t.true(await next.begun());
  t.is(gate.held.calls, 1);
});

test('a call that waits hears when it is expected to begin, from the rate at which others are computed', async (t) => {
  const { ask, pass } = fixture({ calls: 2 });
  const [a, b] = [ask({ priority: 'interactive' }, 300), ask({ priority: 'interactive' }, 400)];
  await a.begun();
  const [first, second] = [ask({ priority: 'interactive' }, 5), ask({ priority: 'interactive' }, 5)];
  t.deepEqual(first.queued, [{ position: 1, expectedMs: undefined }]);
  a.done(0);
  for (let step = 0; step < 10; step++) {
    pass(1000);
    a.done(10);
    b.done(10);
  }
  // 200 and 300 are left, at about 20 a second: both have done 200 when the first ends, and all when the other one does.
  const expected = (queued: readonly QueuePlace[]): number =>
    Math.round((queued.at(-1)?.expectedMs ?? 0) / 1000);
  t.is(first.queued.at(-1)?.position, 1);
  t.true(Math.abs(expected(first.queued) - 20) <= 3, `${expected(first.queued)} s`);
  t.true(Math.abs(expected(second.queued) - 25) <= 3, `${expected(second.queued)} s`);
});

/** One call runs, another one waits, and 10 of cost are computed in a second. */
async function busyFixture() {
  const { ask, pass, gate } = fixture({ calls: 1, waiting: 10 });
  const running = ask({}, 400);
  const waits = ask({ call: newCall(400_000) }, 100);
  await running.begun();
  for (let second = 0; second < 20; second++) {
    pass(1000);
    running.done(10);
  }
  const due = (inMs: number): Partial<Owner> => ({ call: newCall(20_000 + inMs) });
  return { ask, pass, gate, running, waits, due };
}

test('a call that would end after its deadline is refused when it comes, and hears when to try again [fault 97]', async (t) => {
  const { ask, gate, due } = await busyFixture();
  // 200 of the running call, 100 of the one that waits, and 200 of its own: 50 s.
  const late = await refusal(t, ask(due(40_000), 200).entered);
  t.is(late.reason, 'BUSY');
  t.regex(late.message, /would end in about \d+\.\d s.* its deadline is in 40\.0 s/);
  t.true(Math.abs((late.retryAfterMs ?? 0) - 10_000) < 2000, `${late.retryAfterMs ?? 0} ms`);
  t.is(gate.held.waiting, 1);
});

test('a call that has enough time, no deadline, or less to compute than the others, waits', async (t) => {
  const { ask, gate, due } = await busyFixture();
  const calls = [ask(due(80_000), 200), ask({}, 200), ask(due(10_000), 5)];
  t.deepEqual(await Promise.all(calls.map((call) => call.begun())), [false, false, false]);
  t.is(gate.held.waiting, 4);
});

test('a caller of whose calls none has waited is refused no call, however short its time', async (t) => {
  const { ask, due } = await busyFixture();
  const other = ask({ ...due(1000), caller: 'other' }, 200);
  t.false(await other.begun());
  t.is(other.queued.length, 1);
});

test('the rate of a caller whose last call has ended is forgotten, as the next one may be another', async (t) => {
  const { ask, gate, running, waits, due } = await busyFixture();
  running.release();
  t.true(await waits.begun());
  waits.release();
  const another = ask({}, 400);
  t.true(await another.begun());
  t.false(await ask(due(1000), 400).begun());
  t.is(gate.held.waiting, 1);
});

test('a call that can not end in time any more when its turn comes is refused, and the next one begins [fault 97]', async (t) => {
  const { ask, pass, gate, running, waits, due } = await busyFixture();
  const late = ask(due(80_000), 200);
  const next = ask(due(300_000), 100);
  pass(70_000);
  running.release();
  t.true(await waits.begun());
  waits.release();
  t.is((await refusal(t, late.entered)).reason, 'BUSY');
  t.true(await next.begun());
  t.is(gate.held.waiting, 0);
});

test('the requests in memory are bounded, of one caller and of all [fault A16]', (t) => {
  const { gate } = fixture({ callerShare: 0.6 });
  const refused = (caller: string, bytes: number): string | undefined =>
    t.throws(() => gate.hold(caller, bytes), { instanceOf: DiffusionError }).reason;
  t.is(refused('a', 61), 'CALL_TOO_LARGE');
  const end = gate.hold('a', 60);
  t.is(refused('a', 1), 'BUSY');
  gate.hold('b', 40);
  t.is(refused('c', 1), 'BUSY');
  end();
  gate.hold('c', 60);
  t.is(gate.held.requestBytes, 100);
});
