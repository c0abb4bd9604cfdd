/** The requests that are in memory, bounded for each caller and for all. */

import { DiffusionError } from '../../shared/foundation/index.js';
import type { AdmissionLimits } from './admission-limits.js';

interface HeldRequest {
  readonly caller: string;
  readonly bytes: number;
}

export interface RequestMemory {
  /** As `Admission.hold`. */
  hold(caller: string, bytes: number): () => void;
  readonly bytes: number;
}

/** @param busy The refusal of a request for which there will be room. */
export function requestMemory(
  { callerShare, requestBytes }: Pick<AdmissionLimits, 'callerShare' | 'requestBytes'>,
  busy: (text: string) => DiffusionError,
): RequestMemory {
  const requests = new Set<HeldRequest>();
  const heldOf = (of: (held: HeldRequest) => boolean): number =>
    [...requests].filter(of).reduce((sum, held) => sum + held.bytes, 0);

  return {
    hold: (caller, bytes) => {
      const most = Math.floor(callerShare * requestBytes);
      if (bytes > most)
        throw new DiffusionError('CALL_TOO_LARGE', `wanted a request of at most ${most} bytes; got ${bytes}`);
      const isOver =
        heldOf(() => true) + bytes > requestBytes || heldOf((held) => held.caller === caller) + bytes > most;
      if (isOver) throw busy('requests of other calls use all the memory that is allowed for requests');
      const held = { caller, bytes };
      requests.add(held);
      return () => {
        requests.delete(held);
      };
    },
    get bytes() {
      return heldOf(() => true);
    },
  };
}
