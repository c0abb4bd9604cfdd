/** One engine process with one set of weights, seen from the service. */

import {
  at,
  deferred,
  DiffusionError,
  onAbort,
  type Clock,
  type Deferred,
} from '../../shared/foundation/index.js';
import { describeExit, exitDetail, startChild, type ChildExit } from '../../shared/processes/index.js';
import { unetConfig } from '../../shared/recipe/index.js';
import { packRows, splitRows, type NetworkRow } from '../../shared/sampler/index.js';
import type { StoreCalls, StoreSettings } from '../../shared/store/index.js';
import {
  engineProtocol,
  errorOf,
  type FromEngine,
  type EngineSource,
  type Question,
} from './engine-process/messages.js';
import { slotEngine, type SlotEngine } from './slot-engine.js';

export interface EngineSettings {
  /** What the engine process runs. */
  readonly module: URL;
  /** The engine process's whole environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Rows of a forward pass, rising; a pass is padded to the next of them. */
  readonly batchSizes: readonly number[];
  /** An engine that sends no heartbeat for this long is killed; it sends none during a pass. */
  readonly heartbeatTimeoutMs: number;
}

export interface EngineContext {
  /** Where it aborts before the weights are loaded, the process is killed. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Called with whatever fails, for the log; the error's cause is not for clients. */
  readonly report: (error: DiffusionError) => void;
  /** Called with the reason where the engine runs without its own kernels. */
  readonly warn: (reason: string) => void;
  /** Called with the process's calls to the store. */
  readonly onStoreCalls?: (calls: readonly StoreCalls[]) => void;
}

export interface PredictionEngine {
  /** The sizes that its passes have, rising: those of the settings, or the last of them alone. */
  readonly batchSizes: readonly number[];
  /** The most memory that the process has taken, as it said last. */
  peakBytes(): number;
  /**
   * One forward pass. @throws DiffusionError UNAVAILABLE (reason ENGINE_LOST) where the process has ended or ends.
   */
  predict(rows: readonly NetworkRow[]): Promise<Float32Array[]>;
  /** Where the device keeps images between the steps of their solvers. */
  readonly inSlots?: SlotEngine;
  /** Ends the process; passes under way fail with ENGINE_LOST. */
  close(): Promise<void>;
}

export const ENGINE_LOST = 'ENGINE_LOST';

export function isEngineLost(error: unknown): error is DiffusionError {
  return error instanceof DiffusionError && error.reason === ENGINE_LOST;
}

const RETRY_AFTER_MS = 1000;

interface Loaded {
  readonly sizes: readonly number[];
  readonly slots: number;
}

/** What the process was asked. */
interface Pass {
  readonly outputLength: number;
  readonly answer: Deferred<Float32Array>;
}

/**
 * Starts a process and resolves when its weights are verified and warm. Where it throws, the process is gone.
 *
 * @throws what `loadWeights` throws; the signal's reason.
 */
export async function startPredictionEngine(
  source: EngineSource,
  store: StoreSettings,
  { module, environment, batchSizes, heartbeatTimeoutMs }: EngineSettings,
  { signal, clock, report, warn, onStoreCalls }: EngineContext,
): Promise<PredictionEngine> {
  signal.throwIfAborted();
  const { imageSize, inChannels, outChannels } = unetConfig(source.recipe);
  const passes = new Map<number, Pass>();
  const loading = deferred<Loaded>();
  let isLoading = true;
  let isClosing = false;
  let crash: DiffusionError | undefined;
  let lastId = 0;
  let peakBytes = 0;

  // A process that answers what it was not asked is broken, and nothing that it sends later can be trusted.
  function onMessage(message: FromEngine): void {
    if (!isExpected(message)) child.refuse(message);
  }

  /** Handles a message. False where it answers nothing that was asked. */
  function isExpected(message: FromEngine): boolean {
    switch (message.kind) {
      case 'loaded': {
        const { batchSizes: sizes, slots } = message;
        if (!isLoading || String(sizes) !== String(batchSizes.slice(-sizes.length))) return false;
        isLoading = false;
        peakBytes = message.peakBytes;
        if (message.withoutKernels !== undefined) warn(message.withoutKernels);
        loading.resolve({ sizes, slots });
        return true;
      }
      case 'memory':
        peakBytes = message.peakBytes;
        return true;
      case 'store-calls':
        onStoreCalls?.(message.calls);
        return true;
      case 'predicted': {
        const pass = passes.get(message.id);
        if (pass === undefined || pass.outputLength !== message.output.length) return false;
        passes.delete(message.id);
        pass.answer.resolve(message.output);
        return true;
      }
      case 'failed': {
        const { id } = message;
        const failed = id === undefined ? isLoading && loading : passes.get(id)?.answer;
        if (!failed) return false;
        if (id === undefined) isLoading = false;
        else passes.delete(id);
        const error = errorOf(message.error);
        report(error);
        failed.reject(error);
        return true;
      }
    }
  }

  const child = startChild({
    module,
    protocol: engineProtocol,
    environment,
    onMessage,
    heartbeatTimeoutMs,
    clock,
  });
  void child.exited.then((exit) => {
    crash = engineLost(exit);
    if (!isClosing) report(crash);
    loading.reject(crash);
    for (const { answer } of passes.values()) answer.reject(crash);
    passes.clear();
  });

  async function close(): Promise<void> {
    isClosing = true;
    child.kill();
    await child.exited;
  }

  async function load(): Promise<Loaded> {
    const stopListening = onAbort(signal, () => void close());
    child.send({ kind: 'load', store, source, batchSizes });
    try {
      return await loading.promise;
    } catch (error) {
      await close();
      signal.throwIfAborted();
      throw error;
    } finally {
      stopListening();
    }
  }

  const { sizes, slots } = await load();

  /** @throws as `predict`. */
  async function ask(outputLength: number, question: Question): Promise<Float32Array> {
    if (crash !== undefined) throw crash;
    const id = ++lastId;
    const answer = deferred<Float32Array>();
    passes.set(id, { outputLength, answer });
    child.send({ ...question, id });
    return answer.promise;
  }

  async function predict(rows: readonly NetworkRow[]): Promise<Float32Array[]> {
    const batch = packRows(rows, sizes);
    const output = await ask(batch.size * imageSize ** 2 * outChannels, { kind: 'predict', ...batch });
    return splitRows(output, batch.size, rows.length);
  }

  const size = at(sizes, sizes.length - 1);
  const inSlots = slots > 0 && slotEngine({ slots, size, length: imageSize ** 2 * inChannels, ask });
  return { batchSizes: sizes, peakBytes: () => peakBytes, predict, close, ...(inSlots && { inSlots }) };
}

export function engineLost(exit: ChildExit): DiffusionError {
  return new DiffusionError(ENGINE_LOST, `the engine process ${describeExit(exit)}`, {
    retryAfterMs: RETRY_AFTER_MS,
    // Not for clients: only the service's log shows causes.
    cause: exitDetail(exit),
  });
}
