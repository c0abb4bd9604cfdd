/** Puts the measurements together. */

import { measureWire } from '../../../shared/contract/index.js';
import { DiffusionError, type Clock } from '../../../shared/foundation/index.js';
import type { HandlerOptions, ServedService, ServiceLog } from '../../../shared/rpc/index.js';
import type { ObjectStore } from '../../../shared/store/index.js';
import type { MeasurementSettings } from '../config.js';
import type { LoadedModels } from '../loaded-models.js';
import type { ModelCatalogue } from '../model-catalogue.js';
import { runningCalls } from '../running-calls.js';
import { measureHandlers } from './methods.js';
import { measurementRecords } from './records.js';
import { runMeasurement } from './run.js';
import { measurementSupervisor } from './supervisor.js';

/** How long the readers of watches may take to notice the end. */
const END_MS = 1000;

export interface MeasuringParts {
  readonly store: ObjectStore;
  readonly catalogue: ModelCatalogue;
  readonly models: LoadedModels;
  readonly clock: Clock;
  readonly log: Pick<ServiceLog, 'warn' | 'error'>;
  readonly answering: HandlerOptions;
}

export interface Measuring {
  readonly served: ServedService;
  /** Ends the runs, before the models are closed. */
  stop(): Promise<void>;
}

export function startMeasuring(
  settings: MeasurementSettings,
  { store, catalogue, models, clock, log, answering }: MeasuringParts,
): Measuring {
  const records = measurementRecords(store);
  // Watches, which would go on for as long as the measurement.
  const calls = runningCalls();
  const { atOnce, leaseMs, limits, maxWaiting, access } = settings;
  const supervisor = measurementSupervisor({
    ...{ records, clock, atOnce, leaseMs },
    run: (record, context) =>
      runMeasurement(record, context, { ...settings, catalogue, models, records, clock }),
    report: (error, measurement) => {
      if (error instanceof DiffusionError && error.code !== 'INTERNAL')
        log.warn({ measurement, reason: error.reason, cause: error.cause }, error.message);
      else log.error({ measurement, err: error }, 'measuring: internal error');
    },
  });
  return {
    served: {
      service: measureWire.MeasureServiceService,
      serviceName: 'diffusion.measure.v1.MeasureService',
      implementation: measureHandlers({
        ...answering,
        ...{ catalogue, records, supervisor, calls, clock, limits, access, maxWaiting },
      }),
    },
    stop: async () => {
      await calls.stop(0, END_MS);
      await supervisor.stop();
    },
  };
}
