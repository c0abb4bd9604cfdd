/** Runs the measurements of a store: callers in turn, a few at a time, each by one sampler. */

import { measurementStates, errorReasons, type MeasurementState } from '../../../shared/contract/index.js';
import {
  changes,
  DiffusionError,
  isWireReason,
  pause,
  type Clock,
} from '../../../shared/foundation/index.js';
import { hasEnded as processHasEnded, processToken, thisProcess } from '../../../shared/processes/index.js';
import { serviceStopping } from '../../../shared/rpc/index.js';
import { isLostCondition } from '../../../shared/store/index.js';
import { Live, type LiveMeasurement } from './live-measurement.js';
import { measurementSaves } from './saves.js';
import {
  hasEnded,
  stateOf,
  type Lease,
  type MeasurementRecord,
  type MeasurementRecords,
  type StoredRecord,
} from './records.js';
import { callerTurns } from './turns.js';

type Measurement = MeasurementRecord['measurement'];

/** What a run tells while it runs. */
export interface RunContext {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: { stage: string; done: number; total: number }) => void;
}

/** What a run ends with. */
export interface RunEnd {
  readonly inputsSha256: string;
  readonly fromCache: boolean;
}

export interface SupervisorOptions {
  readonly records: MeasurementRecords;
  readonly clock: Clock;
  /** Measures, and keeps the result in the store. */
  readonly run: (record: MeasurementRecord, context: RunContext) => Promise<RunEnd>;
  /** Measurements at a time. */
  readonly atOnce: number;
  /** A sampler that doesn't renew its lease on a measurement for this long loses it. */
  readonly leaseMs: number;
  readonly report: (error: unknown, id: string) => void;
}

export interface MeasurementSupervisor {
  find(id: string): LiveMeasurement | undefined;
  /** Looks for measurements to run, now. */
  wake(): void;
  /** Ends the runs; another sampler, or this one when it is started again, runs them from their beginning or what they saved. */
  stop(): Promise<void>;
}

/** A measurement that nobody runs, as it was read. */
interface Available extends StoredRecord {
  readonly id: string;
  readonly caller: string;
}

const LOOK_EVERY_MS = 5000;
const RENEWALS_A_LEASE = 3;
/** A marker is written before its measurement. */
const CREATION_MS = 60_000;

export function measurementSupervisor(options: SupervisorOptions): MeasurementSupervisor {
  const { records, clock, atOnce, leaseMs, report } = options;
  const live = new Map<string, Live>();
  const ends = new Set<Promise<void>>();
  /** The leases of other samplers, since when each is the same. */
  const seen = new Map<string, { readonly etag: string; readonly sinceMs: number }>();
  const turns = callerTurns();
  const woken = changes();
  const stopped = new AbortController();
  const { save, saveAtLast } = measurementSaves(records, report, stopped.signal);
  let again = false;

  async function lookOnce(): Promise<void> {
    if (live.size >= atOnce) return;
    const running = [...live.values()].map(({ record }) => record.caller);
    const waiting: Available[] = [];
    for (const id of await records.active()) {
      if (stopped.signal.aborted) return;
      if (live.has(id)) continue;
      const found = await readActive(id);
      if (found === undefined) continue;
      const { record, etag } = found;
      if (isOver(id, record.lease, etag)) waiting.push({ id, caller: record.caller, ...found });
      else running.push(record.caller);
    }
    for (const available of turns.order(waiting, running)) {
      if (live.size >= atOnce || stopped.signal.aborted) return;
      await take(available);
    }
  }

  /** Undefined for one that has ended or is gone. */
  async function readActive(id: string): Promise<StoredRecord | undefined> {
    const found = await records.read(id).catch(async (error: unknown) => {
      if (!(error instanceof DiffusionError) || error.code !== 'NOT_FOUND') throw error;
      // Removed, or not yet written.
      if (firstSeenMs(id, '') > CREATION_MS) await records.unmark(id);
      return undefined;
    });
    if (found === undefined || !hasEnded(found.record)) return found;
    await records.unmark(id);
    return undefined;
  }

  /** Takes a measurement that nobody runs. */
  async function take({ id, record, etag }: Available): Promise<void> {
    seen.delete(id);
    const begun = begin(record);
    try {
      const taken = await records.replace(begun, etag);
      const run = new Live(begun, taken);
      live.set(id, run);
      turns.began(record.caller);
      const end = runToEnd(id, run).finally(() => {
        live.delete(id);
        // Watchers look into the store from now on.
        run.changed.notify();
        ends.delete(end);
        wake();
      });
      ends.add(end);
    } catch (error) {
      // Another sampler was faster, or it was cancelled.
      if (!isLostCondition(error)) throw error;
    }
  }

  function isOver(id: string, lease: Lease | undefined, etag: string): boolean {
    if (lease === undefined) return true;
    const unchangedMs = firstSeenMs(id, etag);
    return unchangedMs > lease.durationMs || (lease.process !== undefined && processHasEnded(lease.process));
  }

  /** For how long this has been so. */
  function firstSeenMs(id: string, etag: string): number {
    const nowMs = clock.monotonicMs();
    const known = seen.get(id);
    if (known?.etag === etag) return nowMs - known.sinceMs;
    seen.set(id, { etag, sinceMs: nowMs });
    return 0;
  }

  function begin(record: MeasurementRecord): MeasurementRecord {
    const { measurement, term } = record;
    const startTime = measurement.startTime ?? new Date(clock.wallMs());
    const message = term === 0 ? 'running' : 'running again after its sampler stopped';
    return {
      ...record,
      measurement: inState({ ...measurement, startTime, progress: undefined }, 'RUNNING', message),
      term: term + 1,
      number: 1,
      lease: ownLease(leaseMs),
    };
  }

  async function runToEnd(id: string, run: Live): Promise<void> {
    const timer = setInterval(() => {
      void save(run).catch((error: unknown) => {
        report(error, id);
      });
    }, leaseMs / RENEWALS_A_LEASE);
    if (run.record.isCancelling === true) run.cancel();
    let ended: (measurement: Measurement) => Measurement;
    let inputs: Pick<MeasurementRecord, 'inputsSha256'> = {};
    try {
      const { inputsSha256, fromCache } = await options.run(run.record, {
        signal: run.abort.signal,
        onProgress: ({ stage, done, total }) => {
          const progress = { stage, done: BigInt(done), total: BigInt(total) };
          run.change(({ measurement }) => ({ measurement: { ...measurement, progress } }));
        },
      });
      inputs = { inputsSha256 };
      const text = fromCache ? 'an earlier measurement of the same inputs had this result' : 'done';
      ended = (of) => ({ ...inState(of, 'SUCCEEDED', text), fromCache });
    } catch (error) {
      ended = (of) => failed(of, error, run, id);
    } finally {
      clearInterval(timer);
    }
    if (run.isLost) return;
    run.change((record) => {
      const next = ended(record.measurement);
      const isEnd = stateOf({ ...record, measurement: next }) !== 'RUNNING';
      return { ...inputs, measurement: isEnd ? { ...next, endTime: new Date(clock.wallMs()) } : next };
    });
    run.isReleased = true;
    await saveAtLast(id, run);
  }

  function failed(of: Measurement, error: unknown, run: Live, id: string): Measurement {
    if (stopped.signal.aborted) return { ...of, message: 'its sampler has stopped; another run begins soon' };
    if (run.isCancelled) return inState(of, 'CANCELLED', 'cancelled');
    const reason = error instanceof DiffusionError && isWireReason(error.reason) ? error.reason : 'INTERNAL';
    if (reason === 'INTERNAL') report(error, id);
    const text = reason === 'INTERNAL' ? "an unexpected error; the service's log has it" : textOf(error);
    return { ...inState(of, 'FAILED', text), failureReason: errorReasons.write(reason) };
  }

  async function look(): Promise<void> {
    while (!stopped.signal.aborted) {
      again = false;
      await lookOnce().catch((error: unknown) => {
        report(error, '');
      });
      if (wasWoken()) continue;
      const timer = new AbortController();
      await Promise.race([
        pause(LOOK_EVERY_MS, AbortSignal.any([stopped.signal, timer.signal]), { ref: false }),
        woken.next(stopped.signal).catch(() => undefined),
      ]);
      timer.abort();
    }
  }

  // Read through a function, as the compiler doesn't see that others change it.
  const wasWoken = (): boolean => again;

  function wake(): void {
    again = true;
    woken.notify();
  }

  const looking = look();

  return {
    find: (id) => live.get(id),
    wake,
    stop: async () => {
      stopped.abort();
      for (const run of live.values()) run.abort.abort(serviceStopping());
      await looking;
      await Promise.all(ends);
    },
  };
}

export function inState(measurement: Measurement, state: MeasurementState, message: string): Measurement {
  return { ...measurement, state: measurementStates.write(state), message };
}

function ownLease(durationMs: number): Lease {
  const process = thisProcess();
  return { holder: processToken, durationMs, ...(process !== undefined && { process }) };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
