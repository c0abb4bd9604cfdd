/** A job's events in the store: one object a segment, named by its first event, so that they sort as they happened. */

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

const ATTEMPT_DIGITS = 6;
const NUMBER_DIGITS = 12;

const folder = (jobId: string): string => `jobs/${jobId}/events/`;

/** Writes events as a segment of their own. */
export async function saveSegment(
  store: ObjectStore,
  jobId: string,
  events: readonly LoggedEvent[],
): Promise<void> {
  const first = events[0];
  if (first === undefined) return;
  const { attempt, number } = first.position;
  const name = `${String(attempt).padStart(ATTEMPT_DIGITS, '0')}-${String(number).padStart(NUMBER_DIGITS, '0')}.jsonl`;
  await store.put(folder(jobId) + name, Buffer.from(events.map(lineOf).join(''), 'utf8'));
}

/** The log of a job as far as it was saved: the newest segments, as many as a log keeps. */
export async function loadEventLog(
  store: ObjectStore,
  jobId: string,
  limits: EventLogLimits = DEFAULT_LIMITS,
): Promise<EventLog> {
  const keys: string[] = [];
  for await (const key of store.list(folder(jobId))) keys.push(key);
  let events: LoggedEvent[] = [];
  let truncatedUpTo: Position = START;
  for (const key of keys.reverse()) {
    const segment = parseSegment((await store.get(key)).bytes);
    if (events.length >= limits.maxEvents) {
      truncatedUpTo = segment.at(-1)?.position ?? truncatedUpTo;
      break;
    }
    events = [...segment, ...events];
  }
  return new EventLog(events, truncatedUpTo, limits);
}

function lineOf({ position, event }: LoggedEvent): string {
  const { attempt, number } = position;
  return `${JSON.stringify({ attempt, number, event: toStored(event) })}\n`;
}

function toStored(event: JobEvent): object {
  if (event.kind !== 'grid' || event.image === undefined) return event;
  return { ...event, image: { ...event.image, png: Buffer.from(event.image.png).toString('base64') } };
}

// Our own writing, whole or not at all: what doesn't parse ends the segment, it doesn't end the service.
function parseSegment(bytes: Uint8Array): LoggedEvent[] {
  const events: LoggedEvent[] = [];
  for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
    if (line === '') continue;
    try {
      const { attempt, number, event } = JSON.parse(line) as Position & { event: JobEvent };
      events.push({ position: { attempt, number }, event: fromStored(event) });
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
