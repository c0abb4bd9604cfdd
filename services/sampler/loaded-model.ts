/** One set of weights, ready for rows; a crashed engine process is replaced, and its rows are tried again. */

import type { Clock } from '../../shared/foundation/index.js';
import { paddedSize, type NetworkRow } from '../../shared/sampler/index.js';
import type { EngineObserver } from './metrics.js';
import { isEngineLost, type PredictionEngine } from './prediction-engine.js';
import type { PassGate, PassGates } from './pass-gate.js';
import { deviceSlots, type Engines, type Slots } from './slots.js';
import { stepBatcher, type PredictRow } from './step-batcher.js';

export interface LoadedModel {
  readonly predict: PredictRow;
  /** Where its engine keeps images between the steps of their solvers. */
  readonly slots?: Slots;
  /** The most memory that its engine process has taken. */
  peakBytes(): number;
  close(): Promise<void>;
}

export interface LoadedModelOptions {
  /** Starts an engine with the weights. */
  readonly start: () => Promise<PredictionEngine>;
  readonly gates: PassGates;
  readonly clock: Clock;
  readonly observer?: EngineObserver;
}

/** Resolves when the first engine is warm. */
export async function loadModel({ start, gates, clock, observer }: LoadedModelOptions): Promise<LoadedModel> {
  let engine = start();
  let latest = await engine;
  const { batchSizes } = latest;
  const gate = gates.join();
  let closed = false;

  const engines: Engines = { current: () => engine, renew, timed };

  // The state of every image is in its solver, so a pass can be repeated. Only once: weights or rows that kill the
  // engine would kill it every time.
  async function runPass(rows: readonly NetworkRow[]): Promise<Float32Array[]> {
    const current = engine;
    try {
      return await predicted(await current, rows);
    } catch (error) {
      if (!isEngineLost(error) || closed) throw error;
      return predicted(await renew(current), rows);
    }
  }

  function predicted(on: PredictionEngine, rows: readonly NetworkRow[]): Promise<Float32Array[]> {
    const counts = { rows: rows.length, padding: paddedSize(rows.length, batchSizes) - rows.length };
    return timed(counts, () => on.predict(rows));
  }

  async function timed<T>(
    counts: { readonly rows: number; readonly padding: number },
    pass: () => Promise<T>,
  ): Promise<T> {
    const beganMs = clock.monotonicMs();
    const outputs = await pass();
    observer?.pass({ ...counts, ms: clock.monotonicMs() - beganMs });
    return outputs;
  }

  function renew(lost: Promise<PredictionEngine>): Promise<PredictionEngine> {
    if (engine === lost && !closed) engine = replacement(lost);
    return engine;
  }

  async function replacement(crashed: Promise<PredictionEngine>): Promise<PredictionEngine> {
    observer?.restart();
    try {
      latest = await start();
      return latest;
    } catch (error) {
      // The next pass finds the crashed engine again, and replaces it then.
      engine = crashed;
      throw error;
    }
  }

  const { inSlots } = latest;
  const slotGates: PassGate[] = [];
  function joinForSlots(): PassGate {
    const joined = gates.join();
    slotGates.push(joined);
    return joined;
  }
  return {
    predict: stepBatcher(runPass, batchSizes, gate),
    ...(inSlots && { slots: deviceSlots(inSlots, engines, joinForSlots) }),
    peakBytes: () => latest.peakBytes(),
    close: async () => {
      closed = true;
      for (const each of [gate, ...slotGates]) gates.leave(each);
      const last = await engine.catch(() => undefined);
      await last?.close();
    },
  };
}
