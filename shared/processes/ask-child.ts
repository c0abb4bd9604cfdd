/** One request to a child process of its own, and its one answer. */

import { DiffusionError, onAbort, throwIfAborted } from '../foundation/index.js';
import { describeExit, exitDetail, startChild, type ChildOptions } from './child-process.js';
import { errorOf, type Failure } from './failure.js';

/** How long it may take to stop when it is asked to; it can't by itself while a native run or a file system hangs. */
const STOP_WITHIN_MS = 5000;
const RETRY_AFTER_MS = 10_000;

/** What a child sends: perhaps progress, then `failed` or an answer. */
interface FromAsked {
  readonly kind: string;
}

type ProgressOf<FromChild> = Extract<FromChild, { readonly kind: 'progress' }>;
type AnswerOf<FromChild> = Exclude<FromChild, { readonly kind: 'progress' | 'failed' }>;

export interface AskOptions<ToChild extends object, FromChild extends FromAsked> extends Omit<
  ChildOptions<ToChild, FromChild>,
  'onMessage'
> {
  readonly request: ToChild;
  /** What it does, as errors begin: "measuring". */
  readonly what: string;
  readonly onProgress?: (message: ProgressOf<FromChild>) => void;
  readonly signal?: AbortSignal | undefined;
  /** What tells it that the signal aborted; without it, it is killed at once. */
  readonly stop?: ToChild;
}

/**
 * Starts the process, sends the request and waits for the answer; the process is gone when this settles.
 *
 * @throws DiffusionError as the process says; as `abortError` where the signal aborted before the answer; RESOURCE_EXHAUSTED
 * (QUEUE_FULL) where the system can't start another process; UNAVAILABLE (ENGINE_LOST) where it ended without an answer.
 */
export async function askChild<ToChild extends object, FromChild extends FromAsked>({
  request,
  what,
  onProgress,
  signal,
  stop,
  ...options
}: AskOptions<ToChild, FromChild>): Promise<AnswerOf<FromChild>> {
  throwIfAborted(signal, what);
  let answer: FromChild | undefined;
  const child = startChild<ToChild, FromChild>({
    ...options,
    onMessage: (message) => {
      if (message.kind === 'progress') {
        onProgress?.(message as ProgressOf<FromChild>);
        return;
      }
      answer = message;
      child.kill();
    },
  });
  child.send(request);
  let timer: NodeJS.Timeout | undefined;
  const stopListening = onAbort(signal, () => {
    if (stop !== undefined) child.send(stop);
    timer = setTimeout(child.kill, stop === undefined ? 0 : STOP_WITHIN_MS);
  });
  const exit = await child.exited;
  stopListening();
  clearTimeout(timer);
  if (answer === undefined) {
    throwIfAborted(signal, what);
    if (exit.lackedToStart !== undefined) {
      const message = `${what}: a process for it ${describeExit(exit)}; try again`;
      throw new DiffusionError('QUEUE_FULL', message, { retryAfterMs: RETRY_AFTER_MS });
    }
    const cause = exitDetail(exit);
    throw new DiffusionError('ENGINE_LOST', `${what}: its process ${describeExit(exit)}`, { cause });
  }
  if (answer.kind === 'failed') throw errorOf((answer as unknown as { readonly failure: Failure }).failure);
  return answer as AnswerOf<FromChild>;
}
