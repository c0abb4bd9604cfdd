/** How long a small call takes while batch work fills the engine, beside its time alone. */
import { availableParallelism, cpus } from 'node:os';

import { samplerWire } from '../../shared/contract/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { sampleSmall, startSmallSampler } from './small-sampler.js';
import { quantile, rounded, type Bench } from './table.js';

const CALL = { count: 4, steps: 50 };
const BATCH = { count: 2000, steps: 1000 };
const ROUNDS = 7;

const { PRIORITY_BATCH, PRIORITY_INTERACTIVE, PRIORITY_NORMAL } = samplerWire.Priority;

export const priorities: Bench = async (say) => {
  const { client, end } = await startSmallSampler();
  try {
    /** Seconds of the call, rising; the first round warms up. */
    const measured = async (name: string, priority: samplerWire.Priority): Promise<number[]> => {
      const seconds: number[] = [];
      for (let round = 0; round <= ROUNDS; round++) {
        say(`${name}: round ${round} of ${ROUNDS}`);
        const began = performance.now();
        await sampleSmall(client, { ...CALL, priority });
        if (round > 0) seconds.push((performance.now() - began) / 1000);
      }
      return seconds.sort((a, b) => a - b);
    };
    const alone = await measured('alone', PRIORITY_NORMAL);
    const beside: (readonly [string, number[], number])[] = [];
    for (const [name, ofBatch, ofCall] of [
      ['interactive, beside batch', PRIORITY_BATCH, PRIORITY_INTERACTIVE],
      ['normal, beside batch', PRIORITY_BATCH, PRIORITY_NORMAL],
      ['normal, beside normal', PRIORITY_NORMAL, PRIORITY_NORMAL],
    ] as const) {
      const { promise: begun, resolve } = deferred();
      const over = new AbortController();
      let steps = 0;
      const batch = sampleSmall(client, {
        ...{ ...BATCH, priority: ofBatch, signal: over.signal },
        onEvent: (event) => {
          if (event?.$case !== 'progress') return;
          resolve();
          steps = Number(event.value.stepsDone);
        },
      });
      // It ends when it is cancelled.
      const ended = batch.catch(() => undefined);
      await begun;
      const [before, beganMs] = [steps, performance.now()];
      beside.push([
        name,
        await measured(name, ofCall),
        (1000 * (steps - before)) / (performance.now() - beganMs),
      ]);
      over.abort();
      await ended;
    }
    const middle = (seconds: readonly number[]): number => quantile(seconds, 0.5);
    const row = (call: string, seconds: readonly number[], stepsASecond: number) => ({
      call,
      'median s': rounded(middle(seconds), 2),
      'longest s': rounded(seconds.at(-1) ?? Number.NaN, 2),
      'times alone': rounded(middle(seconds) / middle(alone), 2),
      'steps/s of the other work meanwhile': rounded(stepsASecond),
    });
    return {
      about: `${CALL.count} images in ${CALL.steps} steps with the 8M network, beside ${BATCH.count} images in ${BATCH.steps} steps; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores`,
      rows: [row('alone', alone, 0), ...beside.map((each) => row(...each))],
    };
  } finally {
    await end();
  }
};
