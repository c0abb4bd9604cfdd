/** Which sampler runs a measurement, through stops, crashes, outages and cancellations; nothing is measured. */

import test, { type ExecutionContext } from 'ava';

import { measurementRecords, type MeasurementRecord } from '../../services/sampler/measuring/records.js';
import {
  inState,
  measurementSupervisor,
  type RunContext,
  type RunEnd,
} from '../../services/sampler/measuring/supervisor.js';
import { callerTurns } from '../../services/sampler/measuring/turns.js';
import { positionFromWire, watchMeasurement } from '../../services/sampler/measuring/watch.js';
import { errorReasons, measurementStates, measureWire } from '../../shared/contract/index.js';
import { deferred, DiffusionError, systemClock, type Clock } from '../../shared/foundation/index.js';
import { measurementKeys } from '../../shared/models/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';
import { stoppedClock } from '../cli/sinks.js';
import { temporaryFolder } from '../dataset/folders.js';

const LEASE_MS = 600;
const END: RunEnd = { inputsSha256: 'a'.repeat(64), fromCache: false };

async function openStore(t: ExecutionContext): Promise<ObjectStore> {
  return openLocalStore({ folder: await temporaryFolder(t) });
}

/** A measurement that waits. @param n Decides its id: a higher one is newer. */
async function waiting(store: ObjectStore, n = 1, caller = 'somebody'): Promise<string> {
  const measurementId = measurementKeys.newId(n, `0000000${n}`);
  const measurement = inState(measureWire.Measurement.fromPartial({ measurementId }), 'PENDING', '');
  await measurementRecords(store).create({ measurement, caller, term: 0, number: 0 }, undefined);
  return measurementId;
}

/** Runs that the test ends. */
function supervisor(
  t: ExecutionContext,
  store: ObjectStore,
  { clock = systemClock, atOnce = 1 }: { clock?: Clock; atOnce?: number } = {},
) {
  const runs: {
    record: MeasurementRecord;
    context: RunContext;
    end: (end: RunEnd) => void;
    fail: (error: unknown) => void;
  }[] = [];
  const begun: (() => void)[] = [];
  const reported: unknown[] = [];
  const supervised = measurementSupervisor({
    ...{ records: measurementRecords(store), clock, atOnce, leaseMs: LEASE_MS },
    report: (error) => reported.push(error),
    run: (record, context) => {
      const { promise, resolve, reject } = deferred<RunEnd>();
      context.signal.addEventListener('abort', () => {
        reject(context.signal.reason);
      });
      runs.push({ record, context, end: resolve, fail: reject });
      begun.splice(0).forEach((go) => {
        go();
      });
      return promise;
    },
  });
  t.teardown(() => supervised.stop());
  /** Resolves with the run, when it has begun. */
  async function run(index: number) {
    while (runs.length <= index) {
      const { promise, resolve } = deferred();
      begun.push(resolve);
      await promise;
    }
    const found = runs[index];
    if (found === undefined) throw new Error('no run');
    return found;
  }
  return { ...supervised, run, runs, reported };
}

const options = (store: ObjectStore, supervised: Pick<ReturnType<typeof supervisor>, 'find'>) => ({
  records: measurementRecords(store),
  supervisor: supervised,
});

/** What a watcher sees, until the end. */
async function watched(
  store: ObjectStore,
  supervised: Pick<ReturnType<typeof supervisor>, 'find'>,
  id: string,
  after = '',
): Promise<measureWire.WatchMeasurementResponse[]> {
  const events = [];
  const { signal } = new AbortController();
  for await (const event of watchMeasurement(id, positionFromWire(after), options(store, supervised), signal))
    events.push(event);
  return events;
}

/** The next event of a watch that goes on. */
async function next(
  watching: AsyncGenerator<measureWire.WatchMeasurementResponse>,
): Promise<measureWire.WatchMeasurementResponse> {
  const result: IteratorResult<measureWire.WatchMeasurementResponse, unknown> = await watching.next();
  if (result.done === true) throw new Error('the watch has ended');
  return result.value;
}

const ended = async (...args: Parameters<typeof watched>): Promise<measureWire.Measurement> => {
  const last = (await watched(...args)).at(-1)?.event;
  if (last?.$case !== 'terminal') throw new Error('no terminal event');
  return last.value;
};

const stateOf = ({ state }: measureWire.Measurement) => measurementStates.read(state);

test('the oldest measurement is run first, as many at a time as may be', async (t) => {
  const store = await openStore(t);
  const [first, second, third] = [await waiting(store, 1), await waiting(store, 2), await waiting(store, 3)];
  const a = supervisor(t, store, { atOnce: 2 });
  const one = await a.run(0);
  const two = await a.run(1);
  t.deepEqual(
    [one, two].map(({ record }) => record.measurement.measurementId),
    [first, second],
  );
  t.is(a.runs.length, 2);
  one.end(END);
  t.is(stateOf(await ended(store, a, first)), 'SUCCEEDED');
  t.is((await a.run(2)).record.measurement.measurementId, third);
});

test('callers take turns, however many measurements one of them has', async (t) => {
  const store = await openStore(t);
  const names = new Map<string, string>();
  for (const [n, caller] of ['a', 'a', 'a', 'b', 'b', 'c'].entries())
    names.set(await waiting(store, n + 1, caller), `${caller}${n + 1}`);
  const one = supervisor(t, store);
  const order = [];
  for (let n = 0; n < names.size; n++) {
    const { record, end } = await one.run(n);
    order.push(names.get(record.measurement.measurementId));
    end(END);
  }
  t.deepEqual(order, ['a1', 'b4', 'c6', 'a2', 'b5', 'a3']);
});

test('who has fewer measurements running is next, wherever they run, then who has waited longest for a turn', (t) => {
  const turns = callerTurns();
  const waitingOnes = [
    { id: '1', caller: 'a' },
    { id: '2', caller: 'a' },
    { id: '3', caller: 'b' },
  ];
  const order = (running: readonly string[]) => turns.order(waitingOnes, running).map(({ id }) => id);
  t.deepEqual(order([]), ['1', '3', '2']);
  t.deepEqual(order(['a']), ['3', '1', '2']);
  turns.began('a');
  t.deepEqual(order([]), ['3', '1', '2']);
  turns.began('b');
  t.deepEqual(order([]), ['1', '3', '2']);
  t.deepEqual(order(['a', 'a', 'b']), ['3', '1', '2']);
});

test('a watcher sees the newest progress; one that comes again sees what is newer, and the end', async (t) => {
  const store = await openStore(t);
  const id = await waiting(store);
  const a = supervisor(t, store);
  const run = await a.run(0);
  const watching = watchMeasurement(
    id,
    positionFromWire(''),
    options(store, a),
    new AbortController().signal,
  );
  t.is((await next(watching)).event?.$case, 'snapshot');
  for (const done of [1, 2, 3]) run.context.onProgress({ stage: 'sampling', done, total: 4 });
  const { position, event: progress } = await next(watching);
  t.deepEqual(progress, { $case: 'progress', value: { stage: 'sampling', done: 3n, total: 4n } });
  await watching.return(undefined);
  const again = watched(store, a, id, position);
  run.end(END);
  const events = await again;
  t.deepEqual(
    events.map(({ event }) => event?.$case).filter((kind) => kind !== 'stateChanged'),
    ['snapshot', 'terminal'],
    'no progress that was seen before',
  );
  const left = new DiffusionError('DEADLINE_EXCEEDED', 'the deadline of the call passed');
  const leaving = new AbortController();
  const other = await waiting(store, 2);
  const late = watchMeasurement(other, positionFromWire(''), options(store, a), leaving.signal);
  await late.next();
  leaving.abort(left);
  await t.throwsAsync(
    async () => {
      for (;;) if ((await late.next()).done === true) return;
    },
    { is: left },
  );
  t.throws(() => positionFromWire('yesterday'), { message: /^after: wanted/ });
});

test('a sampler that is stopped gives its measurement to the next one, with positions that go on', async (t) => {
  const store = await openStore(t);
  const id = await waiting(store);
  const a = supervisor(t, store);
  const run = await a.run(0);
  run.context.onProgress({ stage: 'sampling', done: 3, total: 4 });
  await a.stop();
  const { record } = await measurementRecords(store).read(id);
  t.is(stateOf(record.measurement), 'RUNNING');
  t.is(record.lease, undefined);
  const b = supervisor(t, store);
  const second = await b.run(0);
  t.is(second.record.term, 2);
  t.regex(second.record.measurement.message, /running again/);
  const events = watched(store, b, id, `${record.term}.${record.number}`);
  second.end(END);
  const positions = (await events).map(({ position }) => position);
  t.true(
    positions.every((position) => position.startsWith('2.')),
    positions.join(' '),
  );
});

test('the measurement of a sampler that crashed is run by another one once its lease is over', async (t) => {
  const store = await openStore(t);
  const id = await waiting(store);
  const records = measurementRecords(store);
  const { record, etag } = await records.read(id);
  const lease = { holder: 'a process of another machine', durationMs: LEASE_MS };
  const measurement = inState(record.measurement, 'RUNNING', '');
  await records.replace({ ...record, measurement, lease, term: 4 }, etag);
  const clock = stoppedClock();
  const b = supervisor(t, store, { clock });
  const marker = await waiting(store, 2);
  b.wake();
  // By now it has looked at both: it runs the one that is free.
  (await b.run(0)).end(END);
  await ended(store, b, marker);
  t.is(b.runs.length, 1);
  clock.nowMs += LEASE_MS + 1;
  b.wake();
  t.is((await b.run(1)).record.term, 5);
});

test('a sampler that has lost a measurement ends its run, and overwrites nothing', async (t) => {
  const store = await openStore(t);
  const id = await waiting(store);
  const a = supervisor(t, store);
  const run = await a.run(0);
  const records = measurementRecords(store);
  const taken = async (): Promise<MeasurementRecord> => {
    for (;;) {
      const { record, etag } = await records.read(id);
      const lease = { holder: 'another', durationMs: 600_000 };
      const next = { ...record, term: record.term + 1, number: 1, lease };
      if (
        await records.replace(next, etag).then(
          () => true,
          () => false,
        )
      )
        return next;
    }
  };
  const watching = watchMeasurement(
    id,
    positionFromWire(''),
    options(store, a),
    new AbortController().signal,
  );
  await watching.next();
  const changed = next(watching);
  const taker = await taken();
  const { promise, resolve } = deferred();
  run.context.signal.addEventListener('abort', () => {
    resolve();
  });
  await promise;
  t.is((run.context.signal.reason as DiffusionError).reason, 'LEASE_LOST');
  await a.stop();
  const { record, etag } = await records.read(id);
  t.deepEqual([record.term, record.lease?.holder], [taker.term, 'another']);
  const measurement = inState(record.measurement, 'CANCELLED', 'cancelled');
  await records.replace({ ...record, measurement, number: 2 }, etag);
  t.like(await changed, { position: `${taker.term}.2`, event: { $case: 'terminal' } });
});

test('a measurement is cancelled where another sampler runs it, and where none does', async (t) => {
  const store = await openStore(t);
  const id = await waiting(store);
  const a = supervisor(t, store);
  await a.run(0);
  const records = measurementRecords(store);
  for (;;) {
    const { record, etag } = await records.read(id);
    if (
      await records.replace({ ...record, isCancelling: true }, etag).then(
        () => true,
        () => false,
      )
    )
      break;
  }
  t.is(stateOf(await ended(store, a, id)), 'CANCELLED');
});

test('a run that fails says why; the text of an unexpected error stays in the log', async (t) => {
  const store = await openStore(t);
  const [expected, unexpected] = [await waiting(store, 1), await waiting(store, 2)];
  const a = supervisor(t, store);
  (await a.run(0)).fail(new DiffusionError('IMAGES_DIFFER', 'images of two sizes'));
  const failed = await ended(store, a, expected);
  t.deepEqual([stateOf(failed), failed.message], ['FAILED', 'images of two sizes']);
  t.is(errorReasons.read(failed.failureReason), 'IMAGES_DIFFER');
  t.true(failed.endTime !== undefined && failed.startTime !== undefined);
  (await a.run(1)).fail(new Error('a secret'));
  const other = await ended(store, a, unexpected);
  t.is(errorReasons.read(other.failureReason), 'INTERNAL');
  t.false(other.message.includes('secret'));
  t.is(a.reported.length, 1);
  await a.stop();
  t.deepEqual(await measurementRecords(store).active(), []);
});
