/** The calls that are being served, so that a service that stops can end them and wait for their end. */

import { deferred, DiffusionError } from '../../shared/foundation/index.js';

export interface RunningCall {
  /** Aborted with the client's signal, or with an UNAVAILABLE error when the service stops. */
  readonly signal: AbortSignal;
  readonly ended: () => void;
}

export interface RunningCalls {
  /** @throws DiffusionError UNAVAILABLE (reason STOPPING) once the service stops. */
  begin(clientSignal: AbortSignal): RunningCall;
  /** Ends all calls and resolves when none is left. */
  stop(): Promise<void>;
}

const RETRY_AFTER_MS = 1000;

export function runningCalls(): RunningCalls {
  const running = new Map<AbortController, Promise<void>>();
  let stopped = false;
  return {
    begin: (clientSignal) => {
      if (stopped) throw stopping();
      const controller = new AbortController();
      const { promise, resolve } = deferred();
      running.set(controller, promise);
      return {
        signal: AbortSignal.any([clientSignal, controller.signal]),
        ended: () => {
          running.delete(controller);
          resolve();
        },
      };
    },
    stop: async () => {
      stopped = true;
      const ends = [...running.values()];
      for (const controller of running.keys()) controller.abort(stopping());
      await Promise.all(ends);
    },
  };
}

/** The error of calls to a service that stops. */
export function stopping(): DiffusionError {
  return new DiffusionError('SERVICE_STOPPING', 'the service is stopping', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
