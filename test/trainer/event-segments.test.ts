import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { openLocalStore } from '../../shared/store/index.js';
import { START, type LoggedEvent } from '../../services/trainer/event-log.js';
import { loadEventLog, saveSegment } from '../../services/trainer/event-segments.js';

const root = await mkdtemp(join(tmpdir(), 'segments-test-'));
const store = await openLocalStore({ folder: root });
test.after.always(() => rm(root, { recursive: true, force: true }));

const limits = { maxEvents: 20, maxImages: 2, maxLag: 2 };

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
