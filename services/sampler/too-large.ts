/** Calls that could not run even alone. */

import { DiffusionError } from '../../shared/foundation/index.js';
import type { AdmissionLimits, Demand } from './admission-limits.js';
import { reachOf, type Owner } from './priorities.js';

const MIB = 1024 ** 2;

/** @throws DiffusionError RESOURCE_EXHAUSTED, TOO_MANY_EVALUATIONS or CALL_TOO_LARGE, without a delay. */
export function refuseTooLarge(
  { priority }: Owner,
  { cost, bytes }: Demand,
  limits: Pick<AdmissionLimits, 'callerShare' | 'cost' | 'bytes'>,
): void {
  const part = Math.min(limits.callerShare, reachOf(priority));
  if (cost > part * limits.cost) {
    const most = Math.floor(part * limits.cost);
    const text = `wanted a call of priority ${priority} of at most ${most} network evaluations times pixels of an image; got ${cost}`;
    throw new DiffusionError('TOO_MANY_EVALUATIONS', text);
  }
  if (bytes > part * limits.bytes) {
    const [most, got] = [Math.floor((part * limits.bytes) / MIB), Math.ceil(bytes / MIB)];
    const text = `wanted a call of priority ${priority} that takes at most ${most} MiB of memory; got ${got} MiB`;
    throw new DiffusionError('CALL_TOO_LARGE', text);
  }
}
