/** What the stream of a call says while the call waits. */

import { durationFromMs } from '../../shared/contract/index.js';
import { changes } from '../../shared/foundation/index.js';
import type { QueuePlace } from './admission.js';
import type { GenerateEvent } from './generate-events.js';

export interface QueueEvents {
  /** A newer place replaces one that the reader hasn't taken. */
  put(place: QueuePlace): void;
  /** Yields the places, as the reader takes them, until the promise settles. Never throws. */
  until(settled: Promise<unknown>): AsyncGenerator<GenerateEvent, void, undefined>;
}

export function queueEvents(): QueueEvents {
  const changed = changes();
  let newest: QueuePlace | undefined;
  return {
    put: (place) => {
      newest = place;
      changed.notify();
    },
    until: async function* (settled) {
      let over = false;
      const end = (): void => {
        over = true;
        changed.notify();
      };
      settled.then(end, end);
      // Read through a function, as the compiler doesn't see that others change it.
      const isOver = (): boolean => over;
      while (!isOver()) {
        if (newest === undefined) {
          await changed.next();
          continue;
        }
        const { position, expectedMs } = newest;
        newest = undefined;
        const expectedStart = expectedMs === undefined ? undefined : durationFromMs(expectedMs);
        yield { $case: 'queued', value: { position, expectedStart } };
      }
    },
  };
}
