/** Reads in child processes what may be large, a few at a time. */

import {
  DiffusionError,
  onAbort,
  throwIfAborted,
  type Clock,
  type Environment,
} from '../../shared/foundation/index.js';
import {
  describeExit,
  errorOf,
  exitDetail,
  siblingModule,
  startChild,
} from '../../shared/processes/index.js';
import { readingProtocol, type FromReader, type ToReader } from './reading-messages.js';

export interface ReaderOptions {
  /** The whole environment of the processes. */
  readonly environment: Environment;
  /** A process that sends no heartbeat for this long is killed. */
  readonly heartbeatTimeoutMs: number;
  readonly clock: Clock;
}

export interface Reader {
  /**
   * The answer of a process of its own.
   *
   * @throws DiffusionError as the process says; RESOURCE_EXHAUSTED (reason QUEUE_FULL) while others are at work; as
   * `abortError` where the signal aborts.
   */
  read(asked: ToReader, signal?: AbortSignal): Promise<Exclude<FromReader, { kind: 'failed' }>>;
}

const AT_ONCE = 4;
const RETRY_AFTER_MS = 10_000;
const STOP_WITHIN_MS = 5000;

export function reader(options: ReaderOptions): Reader {
  let running = 0;
  return {
    async read(asked, signal) {
      if (running >= AT_ONCE) {
        const message = `${AT_ONCE} data sets or weights are being read; try again when one of them is done`;
        throw new DiffusionError('QUEUE_FULL', message, { retryAfterMs: RETRY_AFTER_MS });
      }
      running += 1;
      try {
        return await readInChild(asked, options, signal);
      } finally {
        running -= 1;
      }
    },
  };
}

async function readInChild(
  asked: ToReader,
  options: ReaderOptions,
  signal: AbortSignal | undefined,
): Promise<Exclude<FromReader, { kind: 'failed' }>> {
  let answer: FromReader | undefined;
  const child = startChild({
    ...options,
    protocol: readingProtocol,
    module: siblingModule(import.meta.url, './reading-process'),
    onMessage: (message) => {
      answer = message;
      child.kill();
    },
  });
  child.send(asked);
  let timer: NodeJS.Timeout | undefined;
  const stopListening = onAbort(signal, () => {
    child.send({ kind: 'stop' });
    // It can't end by itself while the file system that it reads hangs.
    timer = setTimeout(child.kill, STOP_WITHIN_MS);
  });
  const exit = await child.exited;
  stopListening();
  clearTimeout(timer);
  if (answer === undefined) {
    throwIfAborted(signal, 'reading');
    if (exit.lackedToStart !== undefined) {
      const message = `a process to read it ${describeExit(exit)}; try again`;
      throw new DiffusionError('QUEUE_FULL', message, { retryAfterMs: RETRY_AFTER_MS });
    }
    throw new Error(`the process that read it ${describeExit(exit)}: ${exitDetail(exit)}`);
  }
  if (answer.kind !== 'failed') return answer;
  throw errorOf(answer.failure);
}
