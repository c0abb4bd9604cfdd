import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import test from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import {
  DEFAULT_LIMITS,
  EventLog,
  START,
  type FollowedEvent,
  type Position,
} from '../../services/trainer/event-log.js';
import type { JobEvent, StepMetrics } from '../../services/trainer/job.js';

const never = new AbortController().signal;

function metrics(step: number): JobEvent {
  const rest = { totalSteps: 99, loss: 1, mse: 1, gradNorm: 1, paramNorm: 1, learningRate: 1, gamma: 0 };
  const metrics: StepMetrics = {
    step,
    ...rest,
    timestepsWeighted: false,
    inputNoiseVariance: 1,
    imagesPerSecond: 1,
    samplesSeen: step,
    epoch: 0,
  };
  return { kind: 'metrics', metrics };
}

const checkpoint = (step: number): JobEvent => ({ kind: 'checkpoint', step, sizeBytes: 1 });
const evaluation = (step: number): JobEvent => ({
  kind: 'evaluation',
  evaluation: { step, mse: 1, emaMse: 1, images: 1 },
});
const grid = (step: number): JobEvent => ({
  kind: 'grid',
  step,
  image: { png: Uint8Array.of(1), width: 1, height: 1, channels: 3 },
});
const ended: JobEvent = { kind: 'state', state: 'SUCCEEDED', message: '' };
const running: JobEvent = { kind: 'state', state: 'RUNNING', message: '' };

async function readAll(log: EventLog, after: Position = START): Promise<FollowedEvent[]> {
  const entries: FollowedEvent[] = [];
  for await (const entry of log.follow(after, never)) entries.push(entry);
  return entries;
}

const numbers = (entries: readonly FollowedEvent[]): string[] =>
  entries.map(({ position }) => `${position.term}/${position.number}`);

test('numbers start again with each term, and positions grow', async (t) => {
  const log = new EventLog();
  log.append(1, running);
  log.append(1, metrics(1));
  log.append(2, running);
  log.append(2, ended);
  t.deepEqual(numbers(await readAll(log)), ['1/1', '1/2', '2/1']);
  t.deepEqual(log.last, { term: 2, number: 2 });
});

test('a reader that comes back after a position gets neither a gap nor a repeat [fault 108]', async (t) => {
  const log = new EventLog();
  for (let step = 1; step <= 5; step++) log.append(1, metrics(step));
  log.append(1, ended);
  t.deepEqual(numbers(await readAll(log, { term: 1, number: 2 })), ['1/3', '1/4', '1/5']);
  t.deepEqual(await readAll(log, log.last), []);
});

test('a reader gets later events, in order, until the job ends', async (t) => {
  const log = new EventLog();
  const reading = readAll(log);
  for (let step = 1; step <= 3; step++) {
    log.append(1, metrics(step));
    await Promise.resolve();
  }
  log.append(1, ended);
  t.deepEqual(numbers(await reading), ['1/1', '1/2', '1/3']);
});

test('the end of a job that was resumed later is an event like others', async (t) => {
  const log = new EventLog();
  log.append(1, ended);
  log.append(1, running);
  log.append(2, ended);
  t.deepEqual(numbers(await readAll(log)), ['1/1', '1/2']);
});

test('a slow reader misses metrics, gets the number of missed ones, and gets the newest ones, every checkpoint and every evaluation [fault 109]', async (t) => {
  const log = new EventLog([], START, { ...DEFAULT_LIMITS, maxEvents: 100, maxImages: 1, maxLag: 2 });
  const reader = log.follow(START, never);
  log.append(1, metrics(1));
  t.like(await reader.next(), { value: { position: { number: 1 } } });
  log.append(1, metrics(2));
  log.append(1, evaluation(2));
  log.append(1, checkpoint(2));
  for (let step = 3; step <= 6; step++) log.append(1, metrics(step));
  log.append(1, ended);
  const rest: FollowedEvent[] = [];
  for await (const entry of reader) rest.push(entry);
  t.deepEqual(
    rest.map(({ event, dropped }) => [
      event.kind,
      event.kind === 'metrics' ? event.metrics.step : event.kind,
      dropped,
    ]),
    [
      ['evaluation', 'evaluation', 0],
      ['checkpoint', 'checkpoint', 0],
      ['metrics', 6, 4],
    ],
  );
});

const kinds = (entries: readonly FollowedEvent[]) =>
  entries.map(({ event, dropped }) =>
    event.kind === 'metrics' ? [event.metrics.step, dropped] : [event.kind],
  );

test('very many readers get the newest metrics from time to time, the number of missed ones, and every checkpoint at once', async (t) => {
  // So few that after one there is no other in the time of a test.
  const log = new EventLog([], START, { ...DEFAULT_LIMITS, metricsPerSecond: 1e-6 });
  const reading = [readAll(log), readAll(log)];
  log.append(1, metrics(1));
  await settled();
  for (let step = 2; step <= 5; step++) {
    log.append(1, metrics(step));
    await settled();
  }
  log.append(1, checkpoint(5));
  await settled();
  log.append(1, metrics(6));
  log.append(1, ended);
  for (const entries of await Promise.all(reading))
    t.deepEqual(kinds(entries), [[1, 0], [5, 3], ['checkpoint'], [6, 0]]);
});

test('very many readers get metrics in time although nothing else happens, and few readers get all at once', async (t) => {
  const log = new EventLog([], START, { ...DEFAULT_LIMITS, metricsPerSecond: 10 });
  const crowd = Array.from({ length: 2 }, () => log.follow(START, never));
  const first = crowd.map((reader) => reader.next());
  log.append(1, metrics(1));
  await Promise.all(first);
  const second = crowd.map((reader) => reader.next());
  for (let step = 2; step <= 4; step++) log.append(1, metrics(step));
  for (const { value } of await Promise.all(second)) t.like(value, { position: { number: 4 }, dropped: 2 });
  await Promise.all(crowd.map((reader) => reader.return(undefined)));
  // The one reader that is left.
  const few = new EventLog([], START, { ...DEFAULT_LIMITS, metricsPerSecond: 1000 });
  const reading = readAll(few);
  for (let step = 1; step <= 3; step++) {
    few.append(1, metrics(step));
    await settled();
  }
  few.append(1, ended);
  t.deepEqual(kinds(await reading), [
    [1, 0],
    [2, 0],
    [3, 0],
  ]);
});

/** Lets readers read what there is. */
async function settled(): Promise<void> {
  await new Promise((resume) => setImmediate(resume));
}

test('history is bounded, reports where it begins, and is replayed from there without gaps [fault 108, A26]', async (t) => {
  const log = new EventLog([], START, { ...DEFAULT_LIMITS, maxEvents: 10, maxImages: 1, maxLag: 2 });
  for (let step = 1; step <= 50; step++) log.append(1, metrics(step));
  log.append(1, ended);
  const kept = await readAll(log);
  t.is(kept[0]?.position.number, log.truncatedUpTo.number + 1);
  t.is(kept.at(-1)?.position.number, 50);
  t.is(kept.length, 50 - log.truncatedUpTo.number);
  t.true(kept.length <= 11);
});

test('a reader is refused where a checkpoint event that it has not read was dropped', async (t) => {
  const log = new EventLog([], START, { ...DEFAULT_LIMITS, maxEvents: 10, maxImages: 1, maxLag: 2 });
  log.append(1, metrics(1));
  const reader = log.follow(START, never);
  await reader.next();
  log.append(1, checkpoint(1));
  for (let step = 2; step <= 40; step++) log.append(1, metrics(step));
  await t.throwsAsync(reader.next(), { instanceOf: DiffusionError, message: /too far behind/ });
});

test('only the newest sample grids keep their images, and older ones are not replayed', async (t) => {
  const log = new EventLog([], START, { ...DEFAULT_LIMITS, maxEvents: 100, maxImages: 2, maxLag: 9 });
  for (let step = 1; step <= 4; step++) log.append(1, grid(step));
  log.append(1, ended);
  t.deepEqual(
    (await readAll(log)).map(({ event }) => event.kind === 'grid' && event.step),
    [3, 4],
  );
});

test('saved events are not saved again, and a log continues from the saved ones', async (t) => {
  const log = new EventLog();
  log.append(1, metrics(1));
  const first = log.unsaved;
  log.append(1, metrics(2));
  log.saved({ term: 1, number: 1 });
  t.deepEqual(
    log.unsaved.map(({ position }) => position.number),
    [2],
  );
  const again = new EventLog([...first, ...log.unsaved]);
  t.deepEqual(again.unsaved, []);
  again.append(2, ended);
  t.deepEqual(numbers(await readAll(again)), ['1/1', '1/2']);
});

test('after closing, a reader gets the remaining events and then the error', async (t) => {
  const log = new EventLog();
  log.append(1, metrics(1));
  log.close(new DiffusionError('SERVICE_STOPPING', 'the service stops'));
  const reader = log.follow(START, never);
  t.like(await reader.next(), { value: { position: { number: 1 } } });
  await t.throwsAsync(reader.next(), { message: 'the service stops' });
});

test('an aborted reader ends while nothing happens', async (t) => {
  const controller = new AbortController();
  const next = new EventLog().follow(START, controller.signal).next();
  controller.abort(new DiffusionError('CANCELLED', 'gone'));
  await t.throwsAsync(next, { message: 'gone' });
});

test('of ten thousand readers that begin and leave nothing is kept [fault 112]', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const log = new EventLog();
  log.append(1, running);
  const left: WeakRef<AbortSignal>[] = [];
  for (let reader = 0; reader < 10_000; reader++) {
    const ending = new AbortController();
    left.push(new WeakRef(ending.signal));
    const events = log.follow(START, ending.signal);
    await events.next();
    const waiting = events.next();
    ending.abort(new DiffusionError('CANCELLED', 'the reader left'));
    await t.throwsAsync(waiting, { message: 'the reader left' });
  }
  await new Promise((resume) => setTimeout(resume, 10));
  collect();
  const kept = left.filter((reader) => reader.deref() !== undefined).length;
  t.true(kept < 10, `${kept} of 10,000 are kept`);
});
