/** Writes the measurements that this sampler runs into the store, which renews the lease on them. */

import { DiffusionError, pause } from '../../../shared/foundation/index.js';
import { isLostCondition } from '../../../shared/store/index.js';
import type { Live } from './live-measurement.js';
import { hasEnded, type MeasurementRecord, type MeasurementRecords } from './records.js';

const STORE_RETRY_MS = 2000;

/** @param stopped Aborts when the service stops. */
export function measurementSaves(
  records: MeasurementRecords,
  report: (error: unknown, id: string) => void,
  stopped: AbortSignal,
) {
  /** Writes where it stands, which renews the lease. Ends the run where another sampler has taken it. */
  async function save(run: Live): Promise<void> {
    run.saving = run.saving.catch(() => undefined).then(() => saveNow(run));
    return run.saving;
  }

  async function saveNow(run: Live): Promise<void> {
    while (!run.isLost) {
      try {
        run.change(() => ({}));
        run.etag = await records.replace(run.isReleased ? withoutLease(run.record) : run.record, run.etag);
        return;
      } catch (error) {
        if (!isLostCondition(error)) throw error;
      }
      const standing = await records.read(run.record.measurement.measurementId).catch((error: unknown) => {
        if (error instanceof DiffusionError && error.code === 'NOT_FOUND') return undefined;
        throw error;
      });
      if (standing?.record.term !== run.record.term) {
        run.isLost = true;
        run.abort.abort(new DiffusionError('LEASE_LOST', 'another sampler has taken the measurement'));
        return;
      }
      run.etag = standing.etag;
      if (standing.record.isCancelling === true) run.cancel();
    }
  }

  /** Tries until the store takes it, or the service stops. */
  async function saveAtLast(id: string, run: Live): Promise<void> {
    for (;;) {
      try {
        await save(run);
        if (!run.isLost && hasEnded(run.record)) await records.unmark(id);
        return;
      } catch (error) {
        report(error, id);
        if (stopped.aborted) return;
        await pause(STORE_RETRY_MS, stopped);
      }
    }
  }

  return { save, saveAtLast };
}

function withoutLease(record: MeasurementRecord): MeasurementRecord {
  const { lease, ...rest } = record;
  return lease === undefined ? record : rest;
}
