/** A job's events, through a trainer's restarts. */

import { callStream, whenReady } from '../../shared/rpc/index.js';
import { type trainerWire } from '../../shared/contract/index.js';
import { DiffusionError, pause } from '../../shared/foundation/index.js';
import type { TrainerClient } from './connect.js';

const RETRY_AFTER_MS = 500;
// A machine that is back may be noticed only when the system tries to connect for the seventh time, 63 seconds after the
// first.
const AWAY_FOR_MS = 3 * 60_000;

export interface WatchOptions {
  /** Events after this one; all that are kept where it is undefined. */
  readonly after?: string | undefined;
  readonly signal: AbortSignal;
  /** How long a trainer may be away; three minutes where it is undefined. */
  readonly awayForMs?: number;
  /** Called each time the trainer is lost. */
  readonly onLost: () => void;
}

/**
 * A job's events until its terminal one; where the trainer goes away, the watch goes on from the last position once it
 * is back.
 *
 * @throws DiffusionError as the trainer sent it; UNAVAILABLE where it stays away for too long; the signal's reason.
 */
export async function* watchJob(
  client: TrainerClient,
  jobId: string,
  { after: start, signal, awayForMs = AWAY_FOR_MS, onLost }: WatchOptions,
): AsyncGenerator<trainerWire.WatchTrainingJobResponse> {
  let after = start ?? '';
  let heard = false;
  let ended = false;
  while (!ended) {
    try {
      for await (const response of callStream(
        client,
        client.watchTrainingJob,
        { jobId, after },
        { signal },
      )) {
        heard = true;
        after = response.position;
        ended = response.event?.$case === 'terminal';
        yield response;
      }
    } catch (error) {
      signal.throwIfAborted();
      const lost = error instanceof DiffusionError && error.code === 'UNAVAILABLE';
      if (!lost || !heard) throw error;
    }
    if (ended) return;
    onLost();
    await pause(RETRY_AFTER_MS, signal);
    await whenReady(client, awayForMs, signal);
  }
}
