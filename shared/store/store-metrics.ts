/** The metrics of the store's calls. */

import { counter, histogram, SHORT_SECONDS, type MetricRegistry } from '../metrics/index.js';
import { STORE_OPERATIONS, STORE_OUTCOMES, type StoreCall, type StoreCalls } from './store-calls.js';

export const STORE_METRICS = {
  calls: counter(
    'ip_diffusion_store_calls_total',
    "Calls of the service and its child processes to its store, by what they ended with. NOT_FOUND and ABORTED (a condition that did not hold) are part of normal work. A training engine's calls come in every ten seconds; those of its last seconds are lost where it crashes.",
    { operation: STORE_OPERATIONS, outcome: STORE_OUTCOMES },
  ),
  seconds: histogram(
    'ip_diffusion_store_call_seconds',
    'Time of these calls; of a listing, the time that its reader waited for it.',
    SHORT_SECONDS,
    { operation: STORE_OPERATIONS },
  ),
};

export interface StoreMetrics {
  /** Counts a call of this process. */
  note(call: StoreCall): void;
  /** Counts what another process has tallied. */
  add(calls: readonly StoreCalls[]): void;
}

export function storeMetrics(registry: MetricRegistry): StoreMetrics {
  const metrics = registry.add(STORE_METRICS);

  function add(calls: readonly StoreCalls[]): void {
    for (const { operation, outcome, count, seconds } of calls) {
      metrics.calls.add(count, { operation, outcome });
      // Their mean is in the bucket that they all are in.
      for (let i = 0; i < count; i++) metrics.seconds.observe(seconds / count, { operation });
    }
  }

  return {
    add,
    note: ({ operation, outcome, ms }) => {
      add([{ operation, outcome, count: 1, seconds: ms / 1000 }]);
    },
  };
}
