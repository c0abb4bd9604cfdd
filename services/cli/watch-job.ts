/** A job's events, through a trainer's restarts. */

import { callStream, whenReady } from '../../shared/rpc/index.js';
import { type trainerWire } from '../../shared/contract/index.js';
import { DiffusionError, pause } from '../../shared/foundation/index.js';
import type { TrainerClient } from './connect.js';

const RETRY_AFTER_MS = 500;
// A machine that answers again may be noticed only when the system tries to connect for the seventh time, 63 seconds after the
// first.
const UNREACHABLE_FOR_MS = 3 * 60_000;

export interface WatchOptions {
  /** Events after this one; all that are kept where it is undefined. */
  readonly after?: string | undefined;
  readonly signal: AbortSignal;
  /** How long a trainer may be unreachable; three minutes where it is undefined. */
  readonly unreachableForMs?: number;
  /** Called each time the connection to the trainer is lost. */
  readonly onDisconnect: () => void;
}

/**
 * A job's events until its terminal one; where the connection is lost, the watch continues from the last position once the
 * trainer answers again.
 *
 * @throws DiffusionError as the trainer sent it; UNAVAILABLE where it stays unreachable for too long; the signal's reason.
 */
export async function* watchJob(
  client: TrainerClient,
  jobId: string,
  { after: start, signal, unreachableForMs = UNREACHABLE_FOR_MS, onDisconnect }: WatchOptions,
): AsyncGenerator<trainerWire.WatchTrainingJobResponse> {
  let after = start ?? '';
  let received = false;
  let ended = false;
  while (!ended) {
    try {
      for await (const response of callStream(
        client,
        client.watchTrainingJob,
        { jobId, after },
        { signal },
      )) {
        received = true;
        after = response.position;
        ended = response.event?.$case === 'terminal';
        yield response;
      }
    } catch (error) {
      signal.throwIfAborted();
      const disconnected = error instanceof DiffusionError && error.code === 'UNAVAILABLE';
      if (!disconnected || !received) throw error;
    }
    if (ended) return;
    onDisconnect();
    await pause(RETRY_AFTER_MS, signal);
    await whenReady(client, unreachableForMs, signal);
  }
}
