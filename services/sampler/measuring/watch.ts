/** What a watcher of a measurement sees: the newest state, again and again, until it has ended. */

import type { measureWire } from '../../../shared/contract/index.js';
import { invalidArgument, pause, unlessAborted, violation } from '../../../shared/foundation/index.js';
import { hasEnded, stateOf, type MeasurementRecord, type MeasurementRecords } from './records.js';
import type { MeasurementSupervisor } from './supervisor.js';

/** Positions grow and never repeat: first by the term of the sampler that runs the measurement, then by number. */
export interface Position {
  readonly term: number;
  readonly number: number;
}

const START: Position = { term: 0, number: 0 };
/** How often a measurement is looked at that another sampler runs, or none yet. */
const LOOK_EVERY_MS = 1000;
/** Between two messages of progress. */
const PROGRESS_EVERY_MS = 250;

/** @throws DiffusionError INVALID_ARGUMENT for a text that is no position. */
export function positionFromWire(text: string): Position {
  if (text === '') return START;
  const [, term, number] = /^(\d{1,9})\.(\d{1,15})$/.exec(text) ?? [];
  if (term !== undefined && number !== undefined) return { term: Number(term), number: Number(number) };
  throw invalidArgument([violation('after', 'nothing, or the position of an event', text)]);
}

function positionOf({ term, number }: MeasurementRecord): string {
  return `${term}.${number}`;
}

function isAfter({ term, number }: MeasurementRecord, position: Position): boolean {
  return term === position.term ? number > position.number : term > position.term;
}

/** @throws DiffusionError MEASUREMENT_NOT_FOUND where it is removed meanwhile; the signal's reason. */
export async function* watchMeasurement(
  id: string,
  after: Position,
  {
    records,
    supervisor,
  }: {
    readonly records: Pick<MeasurementRecords, 'read'>;
    readonly supervisor: Pick<MeasurementSupervisor, 'find'>;
  },
  signal: AbortSignal,
): AsyncGenerator<measureWire.WatchMeasurementResponse> {
  const current = async (): Promise<MeasurementRecord> =>
    supervisor.find(id)?.record ?? (await records.read(id)).record;
  let seen = await current();
  yield { position: positionOf(seen), event: { $case: 'snapshot', value: seen.measurement } };
  // What the watcher knows from before is in the snapshot; only what is newer comes again.
  let last = isAfter(seen, after) ? undefined : seen;
  for (;;) {
    const record = await current();
    if (hasEnded(record)) {
      yield { position: positionOf(record), event: { $case: 'terminal', value: record.measurement } };
      return;
    }
    const { state, message, progress } = record.measurement;
    if (stateOf(record) !== stateOf(seen) || message !== seen.measurement.message)
      yield { position: positionOf(record), event: { $case: 'stateChanged', value: { state, message } } };
    if (
      progress !== undefined &&
      JSON.stringify(textOf(progress)) !== JSON.stringify(textOf(last?.measurement.progress))
    )
      yield { position: positionOf(record), event: { $case: 'progress', value: progress } };
    [seen, last] = [record, record];
    const live = supervisor.find(id);
    if (live === undefined) await unlessAborted(pause(LOOK_EVERY_MS, signal), signal);
    else {
      // The run may have ended between the two looks.
      if (live.record === record) await live.changed.next(signal);
      if (!hasEnded(live.record)) await unlessAborted(pause(PROGRESS_EVERY_MS, signal), signal);
    }
  }
}

function textOf(progress: measureWire.MeasurementProgress | undefined): unknown {
  return progress && [progress.stage, String(progress.done), String(progress.total)];
}
