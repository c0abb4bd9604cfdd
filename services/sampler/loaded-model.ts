/** One set of weights, ready for rows; a crashed engine process is replaced, and its rows are tried again. */

import { DiffusionError, type Clock } from '../../shared/foundation/index.js';
import { paddedSize, type NetworkRow } from '../../shared/sampler/index.js';
import type { EngineObserver } from './metrics.js';
import { ENGINE_LOST, type PredictionEngine } from './prediction-engine.js';
import type { PassGates } from './pass-gate.js';
import { stepBatcher, type PredictRow } from './step-batcher.js';

export interface LoadedModel {
  readonly predict: PredictRow;
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

  // The state of every image is in its solver, so a pass can be repeated. Only once: weights or rows that kill the
  // engine would kill it every time.
  async function runPass(rows: readonly NetworkRow[]): Promise<Float32Array[]> {
    const current = engine;
    try {
      return await timed(await current, rows);
    } catch (error) {
      if (!isEngineLost(error) || closed) throw error;
      engine = replacement(current);
      return timed(await engine, rows);
    }
  }

  async function timed(on: PredictionEngine, rows: readonly NetworkRow[]): Promise<Float32Array[]> {
    const beganMs = clock.monotonicMs();
    const outputs = await on.predict(rows);
    const ms = clock.monotonicMs() - beganMs;
    observer?.pass({ rows: rows.length, padding: paddedSize(rows.length, batchSizes) - rows.length, ms });
    return outputs;
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

  return {
    predict: stepBatcher(runPass, batchSizes, gate),
    peakBytes: () => latest.peakBytes(),
    close: async () => {
      closed = true;
      gates.leave(gate);
      const last = await engine.catch(() => undefined);
      await last?.close();
    },
  };
}

function isEngineLost(error: unknown): error is DiffusionError {
  return error instanceof DiffusionError && error.reason === ENGINE_LOST;
}
