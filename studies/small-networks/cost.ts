/** What an optimizer step of each variant costs, in processor time: so it can be measured beside other processes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { optimizerStep } from '../../shared/training/index.js';
import { processorSeconds, type Bench } from '../study.js';
import { withRun, type Network, type VariantName } from './networks.js';

export interface CostSettings {
  /** Each variant in turn, so many times. */
  readonly rounds: number;
  readonly steps: number;
}

/** Seconds of processor time of one step, the least of all rounds, by variant. */
export type StepCosts = Readonly<Partial<Record<VariantName, number>>>;

export function costsOf(
  bench: Bench,
  images: Network['images'],
  variants: readonly VariantName[],
  settings: CostSettings,
): Promise<StepCosts> {
  return bench.piece(`cost-${images}`, { images, variants, ...settings }, async () => {
    const costs: Partial<Record<VariantName, number>> = {};
    for (let round = 0; round < settings.rounds; round++)
      for (const variant of variants) {
        const cost = await costOf(bench, { images, variant, seed: 0, age: 1 }, settings);
        costs[variant] = Math.min(cost, costs[variant] ?? Infinity);
      }
    return costs;
  });
}

async function costOf(bench: Bench, network: Network, { steps }: CostSettings): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'study-cost-'));
  try {
    return await withRun(bench, network, folder, async ({ run }) => {
      // The first steps make what later ones use again.
      for (let step = 0; step < 2; step++) await optimizerStep(run, step);
      const seconds = await processorSeconds(async () => {
        for (let step = 2; step < 2 + steps; step++) await optimizerStep(run, step);
      });
      bench.signal.throwIfAborted();
      return seconds / steps;
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
