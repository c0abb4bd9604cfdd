/** Variants at small scale: see README.md. */
import { SAMPLER_CASES } from '../cases.js';
import type { Network, VariantName } from '../small-networks/networks.js';
import { SWEEP, sweepOf } from '../small-networks/sweep.js';
import type { Bench, Study } from '../study.js';
import { report, type Found } from './report.js';
import { behaviourOf, setOf, type ExposureSettings, type SetSettings } from './sets.js';

/** What is done before the next stage begins. */
export interface Stage {
  readonly seeds: readonly number[];
  readonly ages: readonly number[];
  readonly variants: readonly VariantName[];
  /** Numbers of sampling steps for which sets of samples are compared. */
  readonly sets: readonly number[];
  /** Those for which lambda is swept. */
  readonly sweeps: readonly number[];
  /** Whether errors and exposure bias are measured. */
  readonly behaviour: boolean;
}

export interface VariantsPlan {
  readonly images: Network['images'];
  /** Cheap and telling ones first, so that a study that was ended early has them. */
  readonly stages: readonly Stage[];
  readonly set: SetSettings;
  readonly sweep: typeof SWEEP;
  readonly exposure: ExposureSettings;
}

const THREE = ['DDPM', 'DDPM-IP 0.1', 'DDPM-y 0.1'] as const;
const BOTH = ['DDPM', 'DDPM-IP 0.1'] as const;
const BASE = ['DDPM'] as const;

const PLAN: VariantsPlan = {
  images: 'cifar-8',
  stages: [
    { seeds: [1], ages: [6000], variants: THREE, sets: [10, 50], sweeps: [], behaviour: true },
    { seeds: [1], ages: [1500, 3000], variants: BOTH, sets: [10, 50], sweeps: [], behaviour: false },
    { seeds: [1], ages: [12_000], variants: BOTH, sets: [10, 50], sweeps: [], behaviour: true },
    {
      seeds: [1],
      ages: [1500, 3000, 6000, 12_000],
      variants: BASE,
      sets: [],
      sweeps: [10, 50],
      behaviour: false,
    },
    { seeds: [2], ages: [6000], variants: BOTH, sets: [10, 50], sweeps: [10, 50], behaviour: true },
    { seeds: [1], ages: [12_000, 6000], variants: BOTH, sets: [], sweeps: [10, 50], behaviour: false },
    { seeds: [2, 3], ages: [6000, 12_000], variants: THREE, sets: [10, 50], sweeps: [], behaviour: true },
    {
      seeds: [1, 2, 3],
      ages: [21_000],
      variants: THREE,
      sets: [10, 50, 100],
      sweeps: [10, 50],
      behaviour: true,
    },
  ],
  set: { samples: 2000, seed: '5', resamples: 100 },
  sweep: SWEEP,
  exposure: { images: 256, seed: '4', steps: 20 },
};

export async function runVariants(bench: Bench, plan: VariantsPlan = PLAN): Promise<void> {
  // The sweeps of DDPM are those of the gate.
  const gate = await bench.of('gate');
  const found: Found = { sets: [], sweeps: [], behaviours: [] };
  let reported = 0;
  for (const stage of plan.stages)
    for (const seed of stage.seeds) {
      for (const age of stage.ages)
        for (const variant of stage.variants) {
          const network: Network = { images: plan.images, variant, seed, age };
          for (const steps of stage.sets)
            for (const sampler of SAMPLER_CASES) {
              const one = { network, sampler, steps };
              found.sets.push({ ...one, set: await setOf(bench, one, plan.set) });
            }
          for (const steps of stage.sweeps)
            for (const sampler of SAMPLER_CASES) {
              const one = { network, sampler, steps };
              found.sweeps.push({ ...one, sweep: await sweepOf(gate, network, sampler, steps, plan.sweep) });
            }
          if (stage.behaviour)
            found.behaviours.push({ network, behaviour: await behaviourOf(bench, network, plan.exposure) });
        }
      const made = bench.piecesMade() + gate.piecesMade();
      if (made > reported) await report(bench, found, plan);
      reported = made;
    }
  await report(bench, found, plan);
}

export const variants: Study = { folder: 'variants', run: (bench) => runVariants(bench) };
