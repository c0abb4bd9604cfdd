import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { openLocalStore } from '../../shared/store/index.js';
import { DEFAULT_LIMITS, EventLog, START, type LoggedEvent } from '../../services/trainer/event-log.js';
import {
  loadEventLog,
  savedEvents,
  saveSegment,
  segmentWriter,
} from '../../services/trainer/event-segments.js';
import { switchedStore } from '../store/switched-store.js';

const root = await mkdtemp(join(tmpdir(), 'segments-test-'));
const store = await openLocalStore({ folder: root });
test.after.always(() => rm(root, { recursive: true, force: true }));

const limits = { ...DEFAULT_LIMITS, maxEvents: 20, maxImages: 2, maxLag: 2 };

function checkpoints(term: number, ...numbers: readonly number[]): LoggedEvent[] {
  return numbers.map((number) => ({
    position: { term, number },
    event: { kind: 'checkpoint', step: number, sizeBytes: 1 },
  }));
}

async function read(jobId: string): Promise<LoggedEvent[]> {
  const log = await loadEventLog(store, jobId, limits);
  log.append(99, { kind: 'state', state: 'SUCCEEDED', message: '' });
  const events: LoggedEvent[] = [];
  for await (const { position, event } of log.follow(START, new AbortController().signal))
    events.push({ position, event });
  return events;
}

test('events are loaded as they were saved, with pictures, in the order of attempts and numbers', async (t) => {
  const image = { png: Buffer.from([1, 2, 255]), width: 1, height: 1, channels: 3 };
  const grid: LoggedEvent = { position: { term: 2, number: 1 }, event: { kind: 'grid', step: 9, image } };
  await saveSegment(store, 'all', [grid]);
  await saveSegment(store, 'all', checkpoints(1, 1, 2));
  t.deepEqual(await read('all'), [...checkpoints(1, 1, 2), grid]);
});

test('of a long history only the newest segments are loaded, and the log reports what is missing', async (t) => {
  const segments = [0, 10, 20, 30].map((before) =>
    checkpoints(1, ...Array.from({ length: 10 }, (_, i) => before + i + 1)),
  );
  for (const segment of segments) await saveSegment(store, 'long', segment);
  t.deepEqual(await read('long'), segments.slice(2).flat());
  t.deepEqual((await loadEventLog(store, 'long', limits)).truncatedUpTo, { term: 1, number: 20 });
});

test('a job without events has an empty log', async (t) => {
  t.deepEqual((await loadEventLog(store, 'none', limits)).last, START);
});

async function segmentsOf(jobId: string): Promise<string[]> {
  const names: string[] = [];
  for await (const key of store.list(`jobs/${jobId}/events/`))
    names.push(key.slice(`jobs/${jobId}/events/`.length));
  return names;
}

test('saves grow one segment until it is full, and segments of which the log keeps nothing are removed [fault A26]', async (t) => {
  const log = new EventLog([], START, { ...limits, maxEvents: 600 });
  const writer = segmentWriter(store, 'grows');
  const append = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) log.append(1, { kind: 'checkpoint', step: i, sizeBytes: 1 });
    await writer.save(log);
  };
  for (let save = 0; save < 20; save++) await append(10);
  t.deepEqual(await segmentsOf('grows'), ['000001-000000000001.jsonl']);
  for (let save = 0; save < 6; save++) await append(10);
  await append(1);
  t.is((await segmentsOf('grows')).length, 2, 'the first one is full');
  for (let save = 0; save < 70; save++) await append(20);
  t.true((await segmentsOf('grows')).length < 6);
  const loaded = await loadEventLog(store, 'grows', { ...limits, maxEvents: 100 });
  t.deepEqual(loaded.last, log.last);
});

test('a save that failed is repeated with what came since', async (t) => {
  const switched = switchedStore(store);
  const writer = segmentWriter(switched.store, 'repeated');
  const log = new EventLog();
  log.append(1, { kind: 'checkpoint', step: 1, sizeBytes: 1 });
  switched.fail();
  await t.throwsAsync(writer.save(log));
  log.append(1, { kind: 'checkpoint', step: 2, sizeBytes: 1 });
  switched.work();
  await writer.save(log);
  t.is(log.unsaved.length, 0);
  t.deepEqual((await loadEventLog(store, 'repeated')).last, { term: 1, number: 2 });
});

test('the events of an ended job are read one segment at a time, from the one that is asked for', async (t) => {
  const image = { png: Buffer.from([1]), width: 1, height: 1, channels: 3 };
  const grid = (number: number): LoggedEvent => ({
    position: { term: 1, number },
    event: { kind: 'grid', step: number, image },
  });
  for (const first of [1, 11, 21]) {
    const rest = checkpoints(1, ...Array.from({ length: 9 }, (_, i) => first + 1 + i));
    await saveSegment(store, 'ended', [grid(first), ...rest]);
  }
  const switched = switchedStore(store);
  const saved = await savedEvents(switched.store, 'ended', limits);
  const reads = (): number => switched.calls.filter((call) => call.startsWith('get')).length;
  const events = saved.read({ term: 1, number: 12 }, new AbortController().signal);
  t.deepEqual((await events.next()).value, checkpoints(1, 13)[0]);
  const before = reads();
  const numbers: number[] = [];
  for await (const { position } of events) {
    numbers.push(position.number);
    if (position.number === 20) t.is(reads(), before, 'the last segment is not read yet');
  }
  t.deepEqual(
    numbers,
    Array.from({ length: 17 }, (_, i) => 14 + i),
  );
  const grids: number[] = [];
  for await (const { event } of saved.read(START, new AbortController().signal))
    if (event.kind === 'grid') grids.push(event.step);
  t.deepEqual(grids, [11, 21], 'the newest two');
});

test('a segment larger than any that was written is left out [fault A27]', async (t) => {
  await saveSegment(store, 'huge', checkpoints(1, 1));
  await store.put('jobs/huge/events/000001-000000000002.jsonl', Buffer.alloc(65 * 1024 * 1024));
  await saveSegment(store, 'huge', checkpoints(1, 3));
  const log = await loadEventLog(store, 'huge', limits);
  t.deepEqual(
    [log.last, log.truncatedUpTo],
    [
      { term: 1, number: 3 },
      { term: 1, number: 2 },
    ],
  );
});
