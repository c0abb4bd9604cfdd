/** The events of something that a service runs, through the service's restarts. */

import type { Client } from '@grpc/grpc-js';

import { DiffusionError, pause } from '../../shared/foundation/index.js';
import { whenReady } from '../../shared/rpc/index.js';

const RETRY_AFTER_MS = 500;
// A machine that answers again may be noticed only when the system tries to connect for the seventh time, 63 seconds after the
// first.
const UNREACHABLE_FOR_MS = 3 * 60_000;

export interface WatchOptions {
  /** Events after this one; all that are kept where it is undefined. */
  readonly after?: string | undefined;
  readonly signal: AbortSignal;
  /** How long a service may be unreachable; three minutes where it is undefined. */
  readonly unreachableForMs?: number;
  /** Called each time the connection to the service is lost. */
  readonly onDisconnect: () => void;
}

interface Watched {
  readonly position: string;
  readonly event: { readonly $case: string } | undefined;
}

/**
 * The events until the terminal one; where the connection is lost, the watch continues from the last position once the
 * service answers again.
 *
 * @param open Begins a stream after a position.
 * @throws DiffusionError as the service sent it; UNAVAILABLE where it stays unreachable for too long; the signal's reason.
 */
export async function* watchStream<Response extends Watched>(
  client: Client,
  open: (after: string) => AsyncIterable<Response>,
  { after: start, signal, unreachableForMs = UNREACHABLE_FOR_MS, onDisconnect }: WatchOptions,
): AsyncGenerator<Response> {
  let after = start ?? '';
  let received = false;
  let ended = false;
  while (!ended) {
    try {
      for await (const response of open(after)) {
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
    await whenReady(client, unreachableForMs, { signal, tries: 'again' });
  }
}
