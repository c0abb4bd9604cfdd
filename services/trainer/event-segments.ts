/** A job's events in the store: one object a segment, named by its first event, so that they sort as they happened. */

import { jobKeys, termOfKey } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import {
  DEFAULT_LIMITS,
  EventLog,
  START,
  type EventLogLimits,
  type LoggedEvent,
  type Position,
} from './event-log.js';
import type { JobEvent } from './job.js';

/** Writes events as a new segment. */
export async function saveSegment(
  store: ObjectStore,
  jobId: string,
  events: readonly LoggedEvent[],
  signal?: AbortSignal,
): Promise<void> {
  const first = events[0];
  if (first === undefined) return;
  const { term, number } = first.position;
  await store.put(
    jobKeys.eventSegment(jobId, term, number),
    Buffer.from(events.map(lineOf).join(''), 'utf8'),
    { signal },
  );
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
  const keys: string[] = [];
  for await (const key of store.list(jobKeys.events(jobId))) keys.push(key);
  let events: LoggedEvent[] = [];
  let truncatedUpTo: Position = START;
  for (const key of keys.reverse()) {
    const segment = parseSegment((await store.get(key)).bytes);
    if (events.length >= maxEvents) {
      truncatedUpTo = segment.at(-1)?.position ?? truncatedUpTo;
      break;
    }
    events = [...segment, ...events];
  }
  return { events, truncatedUpTo };
}

export async function removeEvents(store: ObjectStore, jobId: string): Promise<void> {
  const keys: string[] = [];
  for await (const key of store.list(jobKeys.events(jobId))) keys.push(key);
  await store.remove(keys);
}

/** The term of the newest events that were saved; 0 where there are none. */
export async function newestTerm(store: ObjectStore, jobId: string): Promise<number> {
  let newest = 0;
  for await (const key of store.list(jobKeys.events(jobId))) {
    newest = Math.max(newest, termOfKey(key) ?? 0);
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
