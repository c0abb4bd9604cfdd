/** A measurement that this sampler runs, as it stands. */

import { changes, DiffusionError, type Changes } from '../../../shared/foundation/index.js';
import type { MeasurementRecord } from './records.js';

/** What others see of it. */
export interface LiveMeasurement {
  readonly record: MeasurementRecord;
  readonly changed: Pick<Changes, 'next'>;
  cancel(): void;
}

/** What its supervisor keeps of it. */
export class Live implements LiveMeasurement {
  readonly changed = changes();
  readonly abort = new AbortController();
  saving: Promise<void> = Promise.resolve();
  isLost = false;
  isCancelled = false;
  /** Whether its last save gives the lease back. */
  isReleased = false;
  record: MeasurementRecord;
  etag: string;

  constructor(record: MeasurementRecord, etag: string) {
    this.record = record;
    this.etag = etag;
  }

  change(of: (record: MeasurementRecord) => Partial<MeasurementRecord>): void {
    const { record } = this;
    this.record = { ...record, ...of(record), number: record.number + 1 };
    this.changed.notify();
  }

  cancel(): void {
    this.isCancelled = true;
    this.abort.abort(new DiffusionError('CANCELLED', 'the measurement was cancelled'));
  }
}
