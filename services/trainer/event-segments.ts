/** A job's events in the store: one object a segment, named by its first event, so that they sort as they happened. */

import { DiffusionError } from '../../shared/foundation/index.js';
import { eventOfKey, jobKeys } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import {
  comparePositions,
  DEFAULT_LIMITS,
  EventLog,
  START,
  type EventLogLimits,
  type LoggedEvent,
  type Position,
} from './event-log.js';
import type { JobEvent } from './job.js';

/** A segment with so many events, or bytes, is not written again. */
const SEGMENT_EVENTS = 256;
const SEGMENT_BYTES = 256 * 1024;
/** All that a log keeps is less, in one segment after a long outage. */
const MAX_SEGMENT_BYTES = 64 * 1024 * 1024;

/** Writes events as one segment, named by the first of them; what has that name is replaced. @returns its bytes. */
export async function saveSegment(
  store: ObjectStore,
  jobId: string,
  events: readonly LoggedEvent[],
  signal?: AbortSignal,
): Promise<number> {
  const first = events[0];
  if (first === undefined) return 0;
  const { term, number } = first.position;
  const bytes = Buffer.from(events.map(lineOf).join(''), 'utf8');
  await store.put(jobKeys.eventSegment(jobId, term, number), bytes, { signal });
  return bytes.length;
}

/** Saves a log's events, in segments that grow to a useful size. */
export interface SegmentWriter {
  /** Saves what is unsaved. @throws what the store throws; the next call then saves everything. */
  save(log: EventLog, signal?: AbortSignal): Promise<void>;
}

export function segmentWriter(store: ObjectStore, jobId: string): SegmentWriter {
  /** The first event of the segment that still grows. */
  let open: Position | undefined;
  return {
    async save(log, signal) {
      if (log.unsaved.length === 0) return;
      const grown = open === undefined ? [] : log.from(open);
      const grows = open !== undefined && grown[0]?.position === open;
      const events = grows ? grown : log.unsaved;
      const [first, last] = [events[0], events.at(-1)];
      if (first === undefined || last === undefined) return;
      const bytes = await saveSegment(store, jobId, events, signal);
      log.saved(last.position);
      open = events.length < SEGMENT_EVENTS && bytes < SEGMENT_BYTES ? first.position : undefined;
      // Nothing is lost where this fails: the next segment tries again.
      if (!grows) await removeOutdated(store, jobId, log.truncatedUpTo, signal).catch(() => undefined);
    },
  };
}

/** Removes segments of which the log keeps nothing any more. */
async function removeOutdated(
  store: ObjectStore,
  jobId: string,
  truncatedUpTo: Position,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (truncatedUpTo === START) return;
  const keys = await segmentKeys(store, jobId, signal);
  const outdated = keys.filter((_, i) => {
    const next = keys[i + 1];
    const first = next === undefined ? undefined : eventOfKey(next);
    return first !== undefined && comparePositions(first, truncatedUpTo) <= 0;
  });
  await store.remove(outdated, { signal });
}

async function segmentKeys(store: ObjectStore, jobId: string, signal?: AbortSignal): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list(jobKeys.events(jobId), { signal })) keys.push(key);
  return keys;
}

/** The log of a job as far as it was saved: the newest segments, as many as a log keeps. */
export async function loadEventLog(
  store: ObjectStore,
  jobId: string,
  limits: EventLogLimits = DEFAULT_LIMITS,
): Promise<EventLog> {
  const { events, truncatedUpTo } = await loadEvents(store, jobId, limits);
  return new EventLog(events, truncatedUpTo, limits);
}

/** The newest events that were saved, and up to where older ones are left out. */
export async function loadEvents(
  store: ObjectStore,
  jobId: string,
  { maxEvents }: EventLogLimits = DEFAULT_LIMITS,
): Promise<{ readonly events: readonly LoggedEvent[]; readonly truncatedUpTo: Position }> {
  const keys = await segmentKeys(store, jobId);
  let events: LoggedEvent[] = [];
  let truncatedUpTo: Position = START;
  for (const key of keys.reverse()) {
    const segment = await readSegment(store, key);
    if (segment === undefined || events.length >= maxEvents) {
      const { term, number } = events[0]?.position ?? START;
      truncatedUpTo = segment?.at(-1)?.position ?? { term, number: Math.max(0, number - 1) };
      break;
    }
    events = [...segment, ...events];
  }
  return { events, truncatedUpTo };
}

/** The saved events of a job that ended: read segment by segment, so that a reader holds one of them at a time. */
export interface SavedEvents {
  /** Events up to here are no longer kept. */
  readonly truncatedUpTo: Position;
  /** The events after a position; of the sample grids, only the newest have their images. */
  read(after: Position, signal: AbortSignal): AsyncGenerator<LoggedEvent>;
}

export async function savedEvents(
  store: ObjectStore,
  jobId: string,
  { maxImages }: EventLogLimits = DEFAULT_LIMITS,
): Promise<SavedEvents> {
  const keys = await segmentKeys(store, jobId);
  const first = keys[0] === undefined ? undefined : eventOfKey(keys[0]);
  const isWhole = first === undefined || (first.term === 1 && first.number === 1);

  /** Where the newest grids with images begin. */
  async function imagesFrom(): Promise<Position> {
    let found = 0;
    for (const key of keys.toReversed()) {
      for (const { event, position } of (await readSegment(store, key))?.toReversed() ?? []) {
        if (event.kind !== 'grid' || event.image === undefined) continue;
        found += 1;
        if (found === maxImages) return position;
      }
    }
    return START;
  }

  return {
    truncatedUpTo: isWhole ? START : { term: first.term, number: first.number - 1 },
    async *read(after, signal) {
      const images = await imagesFrom();
      for (const [i, key] of keys.entries()) {
        const next = keys[i + 1];
        const end = next === undefined ? undefined : eventOfKey(next);
        if (end !== undefined && comparePositions(end, after) <= 0) continue;
        for (const entry of (await readSegment(store, key)) ?? []) {
          signal.throwIfAborted();
          const { event, position } = entry;
          if (comparePositions(position, after) <= 0) continue;
          if (event.kind === 'grid' && (event.image === undefined || comparePositions(position, images) < 0))
            continue;
          yield entry;
        }
      }
    },
  };
}

/** Undefined where it is larger than any segment, or was removed meanwhile. */
async function readSegment(store: ObjectStore, key: string): Promise<LoggedEvent[] | undefined> {
  try {
    return parseSegment((await store.get(key, { maxBytes: MAX_SEGMENT_BYTES })).bytes);
  } catch (error) {
    if (error instanceof DiffusionError && ['NOT_FOUND', 'DATA_LOSS'].includes(error.code)) return undefined;
    throw error;
  }
}

export async function removeEvents(store: ObjectStore, jobId: string): Promise<void> {
  await store.remove(await segmentKeys(store, jobId));
}

/** The term of the newest events that were saved; 0 where there are none. */
export async function newestTerm(store: ObjectStore, jobId: string): Promise<number> {
  let newest = 0;
  for await (const key of store.list(jobKeys.events(jobId))) {
    newest = Math.max(newest, eventOfKey(key)?.term ?? 0);
  }
  return newest;
}

function lineOf({ position, event }: LoggedEvent): string {
  const { term, number } = position;
  return `${JSON.stringify({ term, number, event: toStored(event) })}\n`;
}

function toStored(event: JobEvent): object {
  if (event.kind !== 'grid' || event.image === undefined) return event;
  return { ...event, image: { ...event.image, png: Buffer.from(event.image.png).toString('base64') } };
}

// Segments are written by us, whole or not at all. A line that doesn't parse ends the segment, not the service.
function parseSegment(bytes: Uint8Array): LoggedEvent[] {
  const events: LoggedEvent[] = [];
  for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
    if (line === '') continue;
    try {
      const { term, number, event } = JSON.parse(line) as Position & { event: JobEvent };
      events.push({ position: { term, number }, event: fromStored(event) });
    } catch {
      break;
    }
  }
  return events;
}

function fromStored(event: JobEvent): JobEvent {
  if (event.kind !== 'grid' || event.image === undefined) return event;
  return { ...event, image: { ...event.image, png: Buffer.from(String(event.image.png), 'base64') } };
}
