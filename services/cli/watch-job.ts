/** A job's events, through a trainer's restarts. */

import { callStream } from '../../shared/rpc/index.js';
import { type trainerWire } from '../../shared/contract/index.js';
import type { TrainerClient } from './connect.js';
import { watchStream, type WatchOptions } from './watch-stream.js';

/** A job's events until its terminal one. @throws as `watchStream`. */
export function watchJob(
  client: TrainerClient,
  jobId: string,
  options: WatchOptions,
): AsyncGenerator<trainerWire.WatchTrainingJobResponse> {
  const { signal } = options;
  const open = (after: string): AsyncGenerator<trainerWire.WatchTrainingJobResponse> =>
    callStream(client, client.watchTrainingJob, { jobId, after }, { signal });
  return watchStream(client, open, options);
}
