/** The gate: see README.md. */
import type { Figure } from '../../shared/exposure/index.js';
import { SAMPLER_CASES, type SamplerCase } from '../cases.js';
import type { Network } from '../small-networks/networks.js';
import { SWEEP, sweepOf, type Sweep } from '../small-networks/sweep.js';
import type { Bench, Study } from '../study.js';

/** What is swept: telling cases first, so that a study that was ended early has them. */
export interface GatePlan {
  readonly images: Network['images'];
  readonly networks: readonly Pick<Network, 'seed' | 'age'>[];
  readonly steps: readonly number[];
  readonly sweep: typeof SWEEP;
}

const PLAN: GatePlan = {
  images: 'cifar-8',
  networks: [
    ...[6000, 1500, 3000, 12_000, 21_000].map((age) => ({ seed: 1, age })),
    ...[6000, 12_000].map((age) => ({ seed: 2, age })),
  ],
  steps: [10, 50],
  sweep: SWEEP,
};

/** Where the gain of IP with gamma 0.1 begins, as study A found: 1 + gamma^2 / 2. */
export const THRESHOLD = 1 + 0.1 ** 2 / 2;

/** What the gate says of IP. */
export function verdict({ low, high }: Sweep['bestFrechet']): 'helps' | 'harms' | 'open' {
  if (low > THRESHOLD) return 'helps';
  return high < THRESHOLD ? 'harms' : 'open';
}

export async function runGate(bench: Bench, plan: GatePlan = PLAN): Promise<void> {
  const rows: SweptRow[] = [];
  let reported = 0;
  for (const { seed, age } of plan.networks) {
    for (const steps of plan.steps)
      for (const sampler of SAMPLER_CASES) {
        const network = { images: plan.images, variant: 'DDPM', seed, age } as const;
        const sweep = await sweepOf(bench, network, sampler, steps, plan.sweep);
        rows.push({ ...{ seed, age, sampler, steps }, sweep });
      }
    if (bench.piecesMade() > reported) await report(bench, rows, plan);
    reported = bench.piecesMade();
  }
  await report(bench, rows, plan);
}

async function report(bench: Bench, rows: readonly SweptRow[], plan: GatePlan): Promise<void> {
  await bench.table('gate', rows.map(tableRow));
  const [{ seed } = { seed: 1 }] = plan.networks;
  for (const steps of plan.steps) {
    const curves = SAMPLER_CASES.map((sampler) => ({
      name: sampler,
      points: rows
        .filter((row) => row.seed === seed && row.sampler === sampler && row.steps === steps)
        .sort((a, b) => a.age - b.age)
        .map(({ age, sweep }) => ({ x: age, ...sweep.bestFrechet })),
    }));
    const figure: Figure = {
      ...{ name: 'gate', title: `Best lambda of DDPM by age, ${steps} steps`, curves, ideal: THRESHOLD },
      ...{ x: 'optimizer steps', y: 'best lambda by Frechet distance' },
    };
    await bench.figure(`best-lambda-${steps}-steps`, figure, [
      `${plan.images}, training seed ${seed}, ${plan.sweep.images} samples for each lambda, common noise; bands are 95 % over images.`,
      'Dashed line (ideal): 1 + gamma² / 2 for gamma = 0.1, over which input perturbation is predicted to help.',
    ]);
  }
}

interface SweptRow {
  readonly seed: number;
  readonly age: number;
  readonly sampler: SamplerCase;
  readonly steps: number;
  readonly sweep: Sweep;
}

function tableRow({ sweep, ...row }: SweptRow) {
  const { bestFrechet: f, bestSpectral: s } = sweep;
  const rounded = (value: number): number => Number(value.toFixed(4));
  return {
    ...row,
    ...{ bestLambda: rounded(f.value), low: rounded(f.low), high: rounded(f.high) },
    ...{ bestLambdaSpectral: rounded(s.value), spectralLow: rounded(s.low), spectralHigh: rounded(s.high) },
    inputPerturbation: verdict(f),
  };
}

export const gate: Study = { folder: 'gate', run: (bench) => runGate(bench) };
