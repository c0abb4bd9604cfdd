/** Rows of all running generations of one model, put together into forward passes. */

import { setImmediate } from 'node:timers/promises';

import { abortError, at, deferred, onAbort, throwIfAborted } from '../../shared/foundation/index.js';
import type { NetworkRow } from '../../shared/sampler/index.js';

/** One forward pass: an output for each row, in their order. */
export type RunPass = (rows: readonly NetworkRow[]) => Promise<readonly Float32Array[]>;

export interface RowOptions {
  /** Takes the row out of the queue; other rows are not affected. */
  readonly signal: AbortSignal;
  /** Called when a pass takes the row in. */
  readonly onStart?: () => void;
}

/**
 * The network's answer to one row. Rows wait for one another for a turn of the event loop, not longer.
 *
 * @throws the signal's reason; whatever the pass threw, for all its rows.
 */
export type PredictRow = (row: NetworkRow, options: RowOptions) => Promise<Float32Array>;

interface Waiting {
  readonly row: NetworkRow;
  readonly onStart: (() => void) | undefined;
  readonly resolve: (output: Float32Array) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * How many values solvers work on in one turn of the event loop. This many take about ten milliseconds, during which
 * other calls and health checks wait.
 */
export const VALUES_A_TURN = 50_000;

/** What an aborted signal ends. */
const ROW = 'the evaluation of a row';

/** Runs one pass at a time, of at most `maxRows` rows, whatever their timesteps and solvers. */
export function stepBatcher(runPass: RunPass, maxRows: number): PredictRow {
  const waiting = new Set<Waiting>();
  let running = false;

  async function predict(row: NetworkRow, { signal, onStart }: RowOptions): Promise<Float32Array> {
    throwIfAborted(signal, ROW);
    const { promise, resolve, reject } = deferred<Float32Array>();
    const entry = { row, onStart, resolve, reject };
    const stopListening = onAbort(signal, () => {
      waiting.delete(entry);
      reject(abortError(signal, ROW));
    });
    waiting.add(entry);
    void runPasses();
    try {
      return await promise;
    } finally {
      stopListening();
    }
  }

  async function runPasses(): Promise<void> {
    if (running) return;
    running = true;
    let answerLast = (): Promise<void> => Promise.resolve();
    for (;;) {
      await setImmediate();
      // A full pass needn't wait for the solvers of the last pass: they compute while it runs.
      const full = waiting.size >= maxRows;
      if (!full) await answerLast();
      const pass = nextPass(waiting, maxRows);
      if (pass.length === 0) break;
      for (const { onStart } of pass) onStart?.();
      const outputs = runPass(pass.map(({ row }) => row));
      const answered = full ? answerLast() : undefined;
      try {
        const given = await outputs;
        answerLast = () => answer(pass, given);
      } catch (error) {
        for (const { reject } of pass) reject(error);
        answerLast = () => Promise.resolve();
      }
      await answered;
    }
    running = false;
  }

  return predict;
}

/** Resolves when every answered solver that has further steps has asked for its next row. */
async function answer(pass: readonly Waiting[], outputs: readonly Float32Array[]): Promise<void> {
  let values = 0;
  for (const [i, { resolve }] of pass.entries()) {
    const output = at(outputs, i);
    resolve(output);
    // A solver computes as soon as it is answered.
    values += output.length;
    if (values >= VALUES_A_TURN) {
      values = 0;
      await setImmediate();
    }
  }
  await setImmediate();
}

/** Takes out the rows of the next pass: those that have waited longest. */
function nextPass(waiting: Set<Waiting>, maxRows: number): Waiting[] {
  const pass = [...waiting].slice(0, maxRows);
  for (const entry of pass) waiting.delete(entry);
  return pass;
}
