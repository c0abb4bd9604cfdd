/** The calls that are being served, so that a service that stops can end them and wait for their end. */

import { deferred, pause } from '../../shared/foundation/index.js';
import { serviceStopping } from '../../shared/rpc/index.js';

export interface RunningCall {
  /** Aborted with the client's signal, or with an UNAVAILABLE error when the service stops. */
  readonly signal: AbortSignal;
  readonly ended: () => void;
}

export interface RunningCalls {
  /** @throws DiffusionError UNAVAILABLE (reason SERVICE_STOPPING) once the service stops. */
  begin(clientSignal: AbortSignal): RunningCall;
  /**
   * Takes no more calls, lets those that run end by themselves for `drainMs`, then ends them, and resolves when none is left, or
   * after `endMs` more: a reader may take nothing.
   */
  stop(drainMs: number, endMs: number): Promise<void>;
}

export function runningCalls(): RunningCalls {
  const running = new Map<AbortController, Promise<void>>();
  let stopped = false;
  return {
    begin: (clientSignal) => {
      if (stopped) throw serviceStopping();
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
    stop: async (drainMs, endMs) => {
      stopped = true;
      await allEndedWithin(running, drainMs);
      for (const controller of running.keys()) controller.abort(serviceStopping());
      await allEndedWithin(running, endMs);
    },
  };
}

async function allEndedWithin(running: ReadonlyMap<unknown, Promise<void>>, ms: number): Promise<void> {
  const over = new AbortController();
  const limit = pause(ms, over.signal);
  await Promise.race([Promise.all(running.values()), limit]);
  over.abort();
}
