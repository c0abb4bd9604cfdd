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

/** Who else asks, of which checkpoint, and for whom the call is. */
const CASES = [
  ['interactive, beside batch', PRIORITY_BATCH, 2, PRIORITY_INTERACTIVE],
  ['normal, beside batch', PRIORITY_BATCH, 2, PRIORITY_NORMAL],
  ['interactive, beside batch on another checkpoint', PRIORITY_BATCH, 1, PRIORITY_INTERACTIVE],
  ['normal, beside normal', PRIORITY_NORMAL, 2, PRIORITY_NORMAL],
] as const;

export const priorities: Bench = async (say, isWanted) => {
  const { client, end } = await startSmallSampler(2);

  /** Seconds of the call. */
  async function call(priority: samplerWire.Priority): Promise<number> {
    const began = performance.now();
    await sampleSmall(client, { ...CALL, priority });
    return (performance.now() - began) / 1000;
  }

  /** The same while the other work is under way. @returns its steps a second, too. */
  async function beside(
    ofOthers: samplerWire.Priority,
    checkpointStep: number,
    priority: samplerWire.Priority,
  ) {
    const { promise: begun, resolve } = deferred();
    const over = new AbortController();
    let steps = 0;
    const others = sampleSmall(client, {
      ...{ ...BATCH, priority: ofOthers, checkpointStep, signal: over.signal },
      onEvent: (event) => {
        if (event?.$case !== 'progress') return;
        steps = Number(event.value.stepsDone);
        if (steps > 0) resolve();
      },
    });
    // It ends when it is cancelled.
    const ended = others.catch(() => undefined);
    await begun;
    const before = steps;
    const seconds = await call(priority);
    over.abort();
    await ended;
    return { seconds, stepsASecond: (steps - before) / seconds };
  }

  try {
    const rows = [];
    for (const [name, ofOthers, checkpointStep, priority] of CASES) {
      if (!isWanted(name)) continue;
      // In turns, so that both meet the same machine.
      const measured: { alone: number; seconds: number; stepsASecond: number }[] = [];
      for (let round = 0; round <= ROUNDS; round++) {
        say(`${name}: round ${round} of ${ROUNDS}`);
        const alone = await call(priority);
        const pair = { alone, ...(await beside(ofOthers, checkpointStep, priority)) };
        // The first round warms up.
        if (round > 0) measured.push(pair);
      }
      const middle = (of: (pair: (typeof measured)[number]) => number): number =>
        quantile(
          measured.map(of).sort((a, b) => a - b),
          0.5,
        );
      rows.push({
        call: name,
        'alone s': rounded(
          middle(({ alone }) => alone),
          2,
        ),
        'beside s': rounded(
          middle(({ seconds }) => seconds),
          2,
        ),
        'times alone': rounded(
          middle(({ alone, seconds }) => seconds / alone),
          2,
        ),
        'steps/s of the other work': rounded(middle(({ stepsASecond }) => stepsASecond)),
      });
    }
    return {
      about: `medians of ${ROUNDS} rounds; ${CALL.count} images in ${CALL.steps} steps with the 8M network, alone and beside ${BATCH.count} images in ${BATCH.steps} steps; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores`,
      rows,
    };
  } finally {
    await end();
  }
};
