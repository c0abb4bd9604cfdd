/** Measures images in a child process, which is ended where the command is interrupted. */

import {
  engineEnvironment,
  onAbort,
  pause,
  type Clock,
  type Environment,
} from '../../../shared/foundation/index.js';
import {
  describeExit,
  errorOf,
  exitDetail,
  siblingModule,
  startChild,
} from '../../../shared/processes/index.js';
import type { QualityProgress, QualityResult } from '../../../shared/quality/index.js';
import { qualityProtocol, type FromQuality, type QualityRequest } from './quality-messages.js';

export interface MeasureOptions {
  readonly environment: Environment;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: QualityProgress) => void;
}

const HEARTBEAT_TIMEOUT_MS = 120_000;
/** How long it may take to remove what it has begun, before it is killed. */
const STOP_WITHIN_MS = 2000;

/** @throws DiffusionError as `measureQuality`, `openImageSet` and `openExtractor` do; the signal's reason. */
export async function measureInChild(
  request: QualityRequest,
  { environment, clock, signal, onProgress }: MeasureOptions,
): Promise<QualityResult> {
  let answer: Exclude<FromQuality, { kind: 'progress' }> | undefined;
  const child = startChild({
    protocol: qualityProtocol,
    module: siblingModule(import.meta.url, '../quality-process'),
    environment: engineEnvironment(environment),
    heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS,
    clock,
    onMessage: (message) => {
      if (message.kind === 'progress') {
        onProgress(message.progress);
        return;
      }
      answer = message;
      child.kill();
    },
  });
  child.send({ kind: 'measure', request });
  const stopListening = onAbort(signal, () => {
    child.send({ kind: 'stop' });
    void pause(STOP_WITHIN_MS, undefined, { ref: false }).then(child.kill);
  });
  const exit = await child.exited;
  stopListening();
  signal.throwIfAborted();
  if (answer === undefined)
    throw new Error(`the process that measures ${describeExit(exit)}: ${exitDetail(exit)}`);
  if (answer.kind === 'failed') throw errorOf(answer.failure);
  return answer.result;
}
