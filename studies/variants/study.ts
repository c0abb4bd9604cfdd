/** Variants at small scale: see README.md. */
import { isDeepStrictEqual } from 'node:util';

import { SAMPLER_CASES } from '../cases.js';
import type { Network, VariantName } from '../small-networks/networks.js';
import { SWEEP, sweepOf } from '../small-networks/sweep.js';
import type { Bench, Study } from '../study.js';
import { remediedOf, type RemedySettings } from './remedies.js';
import { report, type Found } from './report.js';
import { costsOf, type CostSettings } from '../small-networks/cost.js';
import {
  behaviourOf,
  picturesOf,
  setOf,
  type ExposureSettings,
  type SampledCase,
  type SetSettings,
} from './sets.js';

/** What is done before the next stage begins. */
export interface Stage {
  readonly images: Network['images'];
  readonly seeds: readonly number[];
  readonly ages: readonly number[];
  readonly variants: readonly VariantName[];
  /** Numbers of sampling steps for which sets of samples are compared. */
  readonly sets: readonly number[];
  /** Samples in each set; default: the plan's. */
  readonly samples?: number;
  /** Those for which lambda is swept. */
  readonly sweeps: readonly number[];
  /** Whether errors and exposure bias are measured. */
  readonly behaviour: boolean;
  /** Numbers of sampling steps for which the first images of all variants are shown side by side; default: none. */
  readonly pictures?: readonly number[];
  /** Those for which remedies in sampling are compared, beside sets that this stage or an earlier one has; default: none. */
  readonly remedies?: readonly number[];
}

export interface VariantsPlan {
  /** Cheap and telling ones first, so that a study that was ended early has them. */
  readonly stages: readonly Stage[];
  readonly set: SetSettings;
  readonly sweep: typeof SWEEP;
  readonly remedyChoice: RemedySettings['choice'];
  readonly exposure: ExposureSettings;
  /** Variants whose optimizer steps are timed; none where undefined. */
  readonly cost?: CostSettings & {
    readonly images: Network['images'];
    readonly variants: readonly VariantName[];
  };
}

const THREE = ['DDPM', 'DDPM-IP 0.1', 'DDPM-y 0.1'] as const;
const BOTH = ['DDPM', 'DDPM-IP 0.1'] as const;
const BASE = ['DDPM'] as const;
/** The paper's Table 2. */
const REGULARISED = ['DDPM', 'DDPM-IP 0.1', 'ADM-WD 0.05', 'ADM-GP 0.001'] as const;
const STRENGTHS = ['DDPM', 'DDPM-IP 0.05', 'DDPM-IP 0.1', 'DDPM-IP 0.15', 'DDPM-IP 0.2'] as const;

/** A stage of one training seed at 8x8 that compares sets of 10 and 50 sampling steps, unless it says otherwise. */
const stage = (ages: Stage['ages'], variants: Stage['variants'], other: Partial<Stage> = {}): Stage => ({
  ...{ images: 'cifar-8', seeds: [1], ages, variants, sets: [10, 50], sweeps: [], behaviour: false },
  ...other,
});

const SWEPT = { sets: [], sweeps: [10, 50] };
const BEHAVIOUR = { behaviour: true };
const SMALL_SETS = { sets: [10], pictures: [10] };

const PLAN: VariantsPlan = {
  stages: [
    stage([6000], THREE, BEHAVIOUR),
    stage([1500, 3000], BOTH),
    stage([12_000], BOTH, BEHAVIOUR),
    stage([1500, 3000, 6000, 12_000], BASE, SWEPT),
    stage([6000], BOTH, { seeds: [2], sweeps: [10, 50], behaviour: true }),
    stage([12_000], BOTH, { sets: [], sweeps: [10] }),
    stage([6000, 12_000], REGULARISED, BEHAVIOUR),
    stage([6000, 12_000], REGULARISED, { sets: [], pictures: [10] }),
    stage([12_000], BOTH, { sets: [100] }),
    stage([12_000], BOTH, { seeds: [2, 3], sweeps: [10], behaviour: true }),
    stage([12_000], STRENGTHS),
    stage([12_000], BOTH, { sets: [1000], samples: 500 }),
    stage([3000], BOTH, { images: 'cifar-16', ...SMALL_SETS }),
    stage([3000], BOTH, { images: 'digits-14', ...SMALL_SETS }),
    stage([3000], BOTH, { images: 'twemoji-16', ...SMALL_SETS }),
    stage([6000], BOTH, { images: 'cifar-16', ...SMALL_SETS }),
    stage([12_000], BOTH, { seeds: [4, 5], sweeps: [10], behaviour: true }),
    stage([12_000], THREE, { seeds: [1, 2, 3], behaviour: true }),
    stage([21_000], BOTH, { seeds: [1, 2, 3], sweeps: [10], behaviour: true }),
    stage([12_000], BOTH, { seeds: [1, 2, 3], sets: [], remedies: [10] }),
    stage([12_000], BOTH, { images: 'cifar-16', ...SMALL_SETS }),
    stage([12_000], BASE, { seeds: [2], ...SWEPT }),
    stage([21_000], BASE, { seeds: [1, 2, 3], ...SWEPT }),
  ],
  set: { samples: 2000, seed: '5', resamples: 100 },
  sweep: SWEEP,
  remedyChoice: { samples: 1000, seed: '6' },
  exposure: { images: 256, seed: '4', steps: 20 },
  cost: { images: 'cifar-8', variants: REGULARISED, rounds: 3, steps: 20 },
};

export async function runVariants(bench: Bench, plan: VariantsPlan = PLAN): Promise<void> {
  // The sweeps of DDPM are those of the gate.
  const gate = await bench.of('gate');
  const { cost } = plan;
  const costs = cost && (await costsOf(bench, cost.images, cost.variants, cost));
  const found: Found = { sets: [], sweeps: [], behaviours: [], pictures: [], remedied: [], costs };
  let reported = 0;
  for (const stage of plan.stages)
    for (const seed of stage.seeds) {
      for (const age of stage.ages)
        for (const variant of stage.variants)
          await measure(bench, gate, found, plan, stage, { images: stage.images, variant, seed, age });
      const made = bench.piecesMade() + gate.piecesMade();
      if (made > reported) await report(bench, found);
      reported = made;
    }
  await report(bench, found);
}

/** What a stage wants of a network and an earlier one has not found. */
async function measure(
  bench: Bench,
  gate: Bench,
  found: Found,
  { set, sweep, remedyChoice, exposure }: VariantsPlan,
  stage: Stage,
  network: Network,
): Promise<void> {
  const casesOf = (steps: readonly number[], done: readonly SampledCase[]): SampledCase[] =>
    steps
      .flatMap((count) => SAMPLER_CASES.map((sampler) => ({ network, sampler, steps: count })))
      .filter((one) => !done.some((other) => isDeepStrictEqual(pickCase(other), one)));
  const samples = stage.samples ?? set.samples;
  for (const one of casesOf(stage.sets, found.sets))
    found.sets.push({ ...one, samples, set: await setOf(bench, one, { ...set, samples }) });
  for (const one of casesOf(stage.remedies ?? [], found.remedied)) {
    const plain = found.sets.find((other) => isDeepStrictEqual(pickCase(other), one));
    if (plain === undefined) throw new Error('wanted a set without a remedy before those with one');
    const settings = { ...set, samples: plain.samples, choice: remedyChoice };
    found.remedied.push(await remediedOf(bench, one, plain.set.training, settings));
  }
  for (const one of casesOf(stage.sweeps, found.sweeps))
    found.sweeps.push({ ...one, sweep: await sweepOf(gate, network, one.sampler, one.steps, sweep) });
  for (const one of casesOf(stage.pictures ?? [], found.pictures))
    found.pictures.push({ ...one, pictures: await picturesOf(bench, one, set.seed) });
  if (stage.behaviour && !found.behaviours.some((other) => isDeepStrictEqual(other.network, network)))
    found.behaviours.push({ network, behaviour: await behaviourOf(bench, network, exposure) });
}

const pickCase = ({ network, sampler, steps }: SampledCase): SampledCase => ({ network, sampler, steps });

export const variants: Study = { folder: 'variants', run: (bench) => runVariants(bench) };
