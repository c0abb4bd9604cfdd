/** The network for work that nobody waits for: in the class "batch", and without holding the place of its model. */

import { DiffusionError, pause, throwIfAborted } from '../../../shared/foundation/index.js';
import type { NetworkRow } from '../../../shared/sampler/index.js';
import type { EngineSource } from '../engine-process/messages.js';
import type { LoadedModels } from '../loaded-models.js';
import { ENGINE_LOST } from '../prediction-engine.js';
import { newCall } from '../priorities.js';
import type { PredictRow } from '../step-batcher.js';

export interface BackgroundOptions {
  readonly models: Pick<LoadedModels, 'acquire'>;
  readonly source: EngineSource;
  readonly caller: string;
  readonly signal: AbortSignal;
  /** Until the next try where all places for models are in use. */
  readonly retryMs?: number;
}

const RETRY_MS = 2000;
/** Engines that end one after the other without an answer: the rows or the weights kill them. */
const MOST_IN_VAIN = 3;
/** Reasons for which the weights can't be loaded now, and can be later. */
const PASSING: readonly string[] = ['MODELS_PINNED', 'CANCELLED', ENGINE_LOST];

/**
 * The model is loaded like any other, and given back at once: a call that needs its place ends the engine, and the rows that
 * were in it are asked for again once there is a place. A row's answer is the same whenever it is computed.
 */
export function backgroundPredict({
  models,
  source,
  caller,
  signal,
  retryMs = RETRY_MS,
}: BackgroundOptions): (row: NetworkRow) => Promise<Float32Array> {
  const owner = { priority: 'batch' as const, caller, call: newCall() };
  let current: Promise<PredictRow> | undefined;
  let inVain = 0;

  async function acquired(): Promise<PredictRow> {
    for (;;) {
      throwIfAborted(signal, 'measuring');
      try {
        const lease = await models.acquire(source, 'exact', signal);
        lease.release();
        return lease.predict;
      } catch (error) {
        if (!isPassing(error) || signal.aborted) throw error;
        countInVain(error);
        await pause(retryMs, signal);
      }
    }
  }

  function countInVain(error: DiffusionError): void {
    if (error.reason !== ENGINE_LOST) return;
    inVain += 1;
    if (inVain >= MOST_IN_VAIN) throw error;
  }

  return async (row) => {
    for (;;) {
      const asked = (current ??= acquired());
      try {
        const output = await (await asked)(row, { owner, signal });
        inVain = 0;
        return output;
      } catch (error) {
        if (!isPassing(error) || signal.aborted) throw error;
        // The first of its rows that finds out counts.
        if (current !== asked) continue;
        current = undefined;
        countInVain(error);
      }
    }
  };
}

function isPassing(error: unknown): error is DiffusionError {
  return error instanceof DiffusionError && PASSING.includes(error.reason);
}
