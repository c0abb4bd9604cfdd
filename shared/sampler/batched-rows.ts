/** Rows of many images, put together into passes of the network. */

import { setImmediate } from 'node:timers/promises';

import { deferred, type Deferred } from '../foundation/index.js';
import type { NetworkRow, Predict } from './solver.js';

interface Waiting {
  readonly row: NetworkRow;
  readonly answer: Deferred<Float32Array>;
}

/** One pass at a time, of the rows that wait for it: at most `size`. What a pass throws, all its rows get. */
export function batchedRows(
  runPass: (rows: readonly NetworkRow[]) => Promise<readonly Float32Array[]>,
  size: number,
): Predict {
  const waiting: Waiting[] = [];
  let running = false;

  /** Solvers that were answered ask again within a turn of the event loop. */
  async function somebodyWaits(): Promise<boolean> {
    await setImmediate();
    return waiting.length > 0;
  }

  async function runPasses(): Promise<void> {
    running = true;
    while (await somebodyWaits()) {
      const pass = waiting.splice(0, size);
      try {
        const outputs = await runPass(pass.map(({ row }) => row));
        pass.forEach(({ answer }, i) => {
          answer.resolve(outputs[i] ?? new Float32Array(0));
        });
      } catch (error) {
        for (const { answer } of pass) answer.reject(error);
      }
    }
    running = false;
  }

  return (row) => {
    const answer = deferred<Float32Array>();
    waiting.push({ row, answer });
    if (!running) void runPasses();
    return answer.promise;
  };
}
