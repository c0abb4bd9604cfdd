/** Reads in child processes what may be large, a few at a time. */

import { DiffusionError, type Clock, type Environment } from '../../shared/foundation/index.js';
import { askChild, siblingModule } from '../../shared/processes/index.js';
import type { StoreCalls } from '../../shared/store/index.js';
import { readingProtocol, type FromReader, type ToReader } from './reading-messages.js';

export interface ReaderOptions {
  /** The whole environment of the processes. */
  readonly environment: Environment;
  /** A process that sends no heartbeat for this long is killed. */
  readonly heartbeatTimeoutMs: number;
  readonly clock: Clock;
  /** Called with the processes' calls to the service's store. */
  readonly onStoreCalls?: (calls: readonly StoreCalls[]) => void;
}

export interface Reader {
  /**
   * The answer of a process of its own.
   *
   * @throws DiffusionError as the process says; RESOURCE_EXHAUSTED (reason QUEUE_FULL) while others are at work; as
   * `abortError` where the signal aborts.
   */
  read(asked: ToReader, signal?: AbortSignal): Promise<Exclude<FromReader, { kind: 'failed' | 'progress' }>>;
}

const AT_ONCE = 4;
const RETRY_AFTER_MS = 10_000;

export function reader({ onStoreCalls, ...options }: ReaderOptions): Reader {
  let running = 0;
  return {
    async read(asked, signal) {
      if (running >= AT_ONCE) {
        const message = `${AT_ONCE} data sets or weights are being read; try again when one of them is done`;
        throw new DiffusionError('QUEUE_FULL', message, { retryAfterMs: RETRY_AFTER_MS });
      }
      running += 1;
      try {
        return await askChild({
          ...{
            ...options,
            protocol: readingProtocol,
            module: siblingModule(import.meta.url, './reading-process'),
          },
          ...{ request: asked, what: 'reading', signal, stop: { kind: 'stop' } },
          onProgress: ({ storeCalls }) => onStoreCalls?.(storeCalls),
        });
      } finally {
        running -= 1;
      }
    },
  };
}
