/** Something that changes again and again, and those who wait for its next change. */

import { unlessAborted } from './abort.js';
import { deferred } from './deferred.js';

export interface Changes {
  /** Whoever waits goes on. */
  notify(): void;
  /** Resolves at the next change. Nothing of a wait that has ended is kept. @throws the signal's reason. */
  next(signal?: AbortSignal): Promise<void>;
}

export function changes(): Changes {
  // Not one promise for all: it would keep what awaits it until the next change, which may never come.
  const waiting = new Set<() => void>();
  return {
    notify: () => {
      for (const goOn of waiting) goOn();
    },
    next: async (signal) => {
      const { promise, resolve } = deferred();
      waiting.add(resolve);
      try {
        await unlessAborted(promise, signal);
      } finally {
        waiting.delete(resolve);
      }
    },
  };
}
