/** One engine process with one set of weights, seen from the service. */

import {
  deferred,
  DiffusionError,
  siblingModule,
  startChild,
  type ChildExit,
  type Clock,
  type Deferred,
} from '../../shared/foundation/index.js';
import type { NetworkRow } from '../../shared/sampler/index.js';
import type { StoreSettings } from '../../shared/store/index.js';
import { packRows, splitRows } from './batch.js';
import { errorOf, type FromEngine, type ToEngine, type WeightsSource } from './engine-process/messages.js';

export interface EngineSettings {
  /** The engine process's whole environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Rows of a forward pass, rising; a pass is padded to the next of them. */
  readonly batchSizes: readonly number[];
  /** An engine that is silent for this long (a pass is silent) is killed. */
  readonly silenceTimeoutMs: number;
}

export interface PredictionEngine {
  /**
   * One forward pass. @throws DiffusionError UNAVAILABLE (reason ENGINE_LOST) where the process is gone or goes.
   */
  predict(rows: readonly NetworkRow[]): Promise<Float32Array[]>;
  /** Ends the process; passes under way fail with ENGINE_LOST. */
  close(): Promise<void>;
}

export const ENGINE_LOST = 'ENGINE_LOST';

const RETRY_AFTER_MS = 1000;

/** Starts a process and resolves when its weights are verified and warm. @throws what `loadWeights` throws. */
export async function startPredictionEngine(
  source: WeightsSource,
  store: StoreSettings,
  { environment, batchSizes, silenceTimeoutMs }: EngineSettings,
  clock: Clock,
): Promise<PredictionEngine> {
  const passes = new Map<number, Deferred<Float32Array>>();
  const loaded = deferred<readonly number[]>();
  let lost: DiffusionError | undefined;
  let lastId = 0;

  function onMessage(message: FromEngine): void {
    switch (message.kind) {
      case 'loaded':
        loaded.resolve(message.batchSizes);
        return;
      case 'predicted':
        passes.get(message.id)?.resolve(message.output);
        return;
      case 'failed': {
        const failed = message.id === undefined ? loaded : passes.get(message.id);
        failed?.reject(errorOf(message.error));
      }
    }
  }

  const child = startChild<ToEngine, FromEngine>({
    module: siblingModule(import.meta.url, './engine-process/main'),
    environment,
    onMessage,
    silenceTimeoutMs,
    clock,
  });
  void child.exited.then((exit) => {
    lost = engineLost(exit);
    loaded.reject(lost);
    for (const pass of passes.values()) pass.reject(lost);
  });

  async function close(): Promise<void> {
    child.kill();
    await child.exited;
  }

  child.send({ kind: 'load', store, source, batchSizes });
  const sizes = await loaded.promise.catch(async (error: unknown) => {
    await close();
    throw error;
  });

  async function predict(rows: readonly NetworkRow[]): Promise<Float32Array[]> {
    if (lost !== undefined) throw lost;
    const id = ++lastId;
    const pass = deferred<Float32Array>();
    const batch = packRows(rows, sizes);
    passes.set(id, pass);
    child.send({ kind: 'predict', id, ...batch });
    try {
      return splitRows(await pass.promise, batch.size, rows.length);
    } finally {
      passes.delete(id);
    }
  }

  return { predict, close };
}

export function engineLost({ code, signal, unresponsive, stderrTail }: ChildExit): DiffusionError {
  const how =
    unresponsive !== undefined
      ? `hung and was killed: ${unresponsive}`
      : `ended with ${signal ?? `exit code ${code ?? 'none'}`}`;
  return new DiffusionError('UNAVAILABLE', `the engine process ${how}`, {
    reason: ENGINE_LOST,
    retryAfterMs: RETRY_AFTER_MS,
    // Not for clients: only the service's log shows causes.
    cause: stderrTail,
  });
}
