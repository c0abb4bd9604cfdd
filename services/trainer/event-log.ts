/** A job's numbered events: bounded in memory, followed by any number of readers at their own pace. */

import { changes, DiffusionError } from '../../shared/foundation/index.js';
import { isEnded } from '../../shared/contract/index.js';
import type { JobEvent } from './job.js';

/** Positions grow and never repeat: first by the term of the trainer that has the job, then by number. */
export interface Position {
  readonly term: number;
  readonly number: number;
}

export interface LoggedEvent {
  readonly position: Position;
  readonly event: JobEvent;
}

/** An event as a reader gets it. */
export interface FollowedEvent extends LoggedEvent {
  /** Metrics that this reader missed since the last ones it got; 0 for other events. */
  readonly dropped: number;
}

export interface EventLogLimits {
  /** Events kept; the oldest go first. */
  readonly maxEvents: number;
  /** Sample grids whose images are kept. */
  readonly maxImages: number;
  /** A reader further behind the newest event than this misses metrics. */
  readonly maxLag: number;
  /** Metrics that all readers together get in a second; where they are so many that each would get more, they miss some. */
  readonly metricsPerSecond: number;
}

export const DEFAULT_LIMITS: EventLogLimits = {
  ...{ maxEvents: 10_000, maxImages: 4, maxLag: 256 },
  // Each takes the service some 50 us: together 2.5 % of a processor.
  metricsPerSecond: 500,
};

/** Readers are not made to wait for less: they then get every event. */
const SHORTEST_PACE_MS = 100;

export const START: Position = { term: 0, number: 0 };

interface Cursor {
  /** Index of the next event to look at, counted from the log's first one ever. */
  next: number;
  /** Events before this index are history, which is replayed without gaps. */
  readonly replayEnd: number;
  dropped: number;
}

export class EventLog {
  readonly #limits: EventLogLimits;
  #events: LoggedEvent[];
  /** Index of the first event that is kept. */
  #first = 0;
  #firstUnsaved: number;
  #last: Position;
  #lastMetrics: number;
  /** Indices of the grids that have their images. */
  readonly #grids: number[];
  /** Index of the newest dropped event that no reader may miss. */
  #lastDropped = -1;
  #truncatedUpTo: Position;
  #closed: DiffusionError | undefined;
  readonly #changes = changes();
  #readers = 0;
  /** Set while readers are not told of metrics, as they were told a moment ago. */
  #resting: NodeJS.Timeout | undefined;
  #isOwed = false;

  /** @param history Events saved earlier, in order. @param truncatedUpTo Events up to here are no longer kept. */
  constructor(
    history: readonly LoggedEvent[] = [],
    truncatedUpTo: Position = START,
    limits = DEFAULT_LIMITS,
  ) {
    this.#limits = limits;
    this.#events = [...history];
    this.#truncatedUpTo = truncatedUpTo;
    this.#last = history.at(-1)?.position ?? truncatedUpTo;
    this.#lastMetrics = history.findLastIndex(({ event }) => event.kind === 'metrics');
    this.#firstUnsaved = this.#end;
    this.#grids = history.flatMap(({ event }, index) =>
      event.kind === 'grid' && event.image !== undefined ? [index] : [],
    );
    this.#trim();
  }

  /** Position of the newest event. */
  get last(): Position {
    return this.#last;
  }

  /** Events up to here are no longer kept. */
  get truncatedUpTo(): Position {
    return this.#truncatedUpTo;
  }

  /** Whether the newest event ended the job. */
  get ended(): boolean {
    const event = this.#events.at(-1)?.event;
    return event?.kind === 'state' && isEnded(event.state);
  }

  /** Events not saved yet, of those that are kept. */
  get unsaved(): readonly LoggedEvent[] {
    return this.#events.slice(Math.max(0, this.#firstUnsaved - this.#first));
  }

  /** The events that are kept, from this position on. */
  from(position: Position): readonly LoggedEvent[] {
    const after = this.#indexAfter(position) - this.#first;
    return this.#events.slice(Math.max(0, after - 1));
  }

  /** Events that are kept. */
  get size(): number {
    return this.#events.length;
  }

  /** Marks all events up to this position as saved. */
  saved(upTo: Position): void {
    this.#firstUnsaved = Math.max(this.#firstUnsaved, this.#indexAfter(upTo));
  }

  append(term: number, event: JobEvent): void {
    const number = term === this.#last.term ? this.#last.number + 1 : 1;
    this.#add({ position: { term, number }, event });
  }

  /** Takes over events that were never saved, with the positions under which they were sent. */
  adopt(events: readonly LoggedEvent[]): void {
    for (const entry of events) if (comparePositions(entry.position, this.#last) > 0) this.#add(entry);
  }

  #add(entry: LoggedEvent): void {
    this.#last = entry.position;
    if (entry.event.kind === 'metrics') this.#lastMetrics = this.#end;
    if (entry.event.kind === 'grid') this.#grids.push(this.#end);
    this.#events.push(entry);
    this.#trim();
    if (entry.event.kind === 'metrics') this.#announceMetrics();
    else this.#changes.notify();
  }

  /** Very many readers are told of metrics from time to time only, and then get the newest ones. */
  #announceMetrics(): void {
    this.#isOwed = this.#resting !== undefined;
    if (this.#isOwed) return;
    this.#changes.notify();
    if (!this.#isCrowded) return;
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      if (this.#isOwed) this.#announceMetrics();
    }, this.#paceMs).unref();
  }

  /** The time between two metrics of a reader that leaves each its part. */
  get #paceMs(): number {
    return (1000 * this.#readers) / this.#limits.metricsPerSecond;
  }

  get #isCrowded(): boolean {
    return this.#paceMs >= SHORTEST_PACE_MS;
  }

  /** Readers get what they haven't read yet, then this error; an ended job's readers just end. */
  close(error: DiffusionError): void {
    this.#closed = error;
    this.#changes.notify();
  }

  /**
   * Events after a position, those to come included. It returns when all are read and the job has ended; the
   * event that ended it is not among them, but is where the log ends.
   *
   * @throws DiffusionError what the log was closed with; RESOURCE_EXHAUSTED where a reader is so slow that
   * events which it must not miss were dropped; the signal's reason.
   */
  async *follow(after: Position, signal: AbortSignal): AsyncGenerator<FollowedEvent> {
    const cursor: Cursor = { next: this.#indexAfter(after), replayEnd: this.#end, dropped: 0 };
    this.#readers += 1;
    try {
      for (;;) {
        const entry = this.#take(cursor);
        if (entry !== undefined) yield entry;
        else if (this.ended) return;
        else if (this.#closed !== undefined) throw this.#closed;
        else await this.#changes.next(signal);
      }
    } finally {
      this.#readers -= 1;
    }
  }

  get #end(): number {
    return this.#first + this.#events.length;
  }

  #take(cursor: Cursor): FollowedEvent | undefined {
    if (cursor.next <= this.#lastDropped) {
      throw new DiffusionError(
        'SLOW_READER',
        'the reader is too far behind, so events that it must not miss were dropped; watch again',
      );
    }
    if (cursor.next < this.#first) {
      cursor.dropped += this.#first - cursor.next;
      cursor.next = this.#first;
    }
    for (; cursor.next < this.#end; cursor.next += 1) {
      const entry = this.#events[cursor.next - this.#first];
      if (entry === undefined) return undefined;
      const { event } = entry;
      if (event.kind === 'metrics' && this.#isStale(cursor)) cursor.dropped += 1;
      else if (!(event.kind === 'grid' && event.image === undefined) && !this.#isEnd(cursor.next)) {
        cursor.next += 1;
        const dropped = event.kind === 'metrics' ? cursor.dropped : 0;
        if (event.kind === 'metrics') cursor.dropped = 0;
        return { ...entry, dropped };
      }
    }
    return undefined;
  }

  #isStale({ next, replayEnd }: Cursor): boolean {
    const isBehind = this.#isCrowded || this.#end - next > this.#limits.maxLag;
    return next >= replayEnd && next < this.#lastMetrics && isBehind;
  }

  #isEnd(index: number): boolean {
    return this.ended && index === this.#end - 1;
  }

  #indexAfter(position: Position): number {
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const entry = this.#events[middle];
      if (entry !== undefined && comparePositions(entry.position, position) <= 0) low = middle + 1;
      else high = middle;
    }
    return this.#first + low;
  }

  #trim(): void {
    // In blocks: shifting a long array for every event would cost more than the event itself.
    if (this.#events.length >= this.#limits.maxEvents * 1.1) {
      const gone = this.#events.splice(0, this.#events.length - this.#limits.maxEvents);
      gone.forEach(({ position, event }, offset) => {
        this.#truncatedUpTo = position;
        if (event.kind !== 'metrics') this.#lastDropped = this.#first + offset;
      });
      this.#first += gone.length;
    }
    while (this.#grids.length > this.#limits.maxImages) {
      const offset = (this.#grids.shift() ?? 0) - this.#first;
      const entry = this.#events[offset];
      if (entry?.event.kind !== 'grid') continue;
      this.#events[offset] = { position: entry.position, event: { kind: 'grid', step: entry.event.step } };
    }
  }
}

/** Negative where `a` comes first, 0 where they are equal. */
export function comparePositions(a: Position, b: Position): number {
  return a.term - b.term || a.number - b.number;
}
