/** Does the best epsilon scaling of DDPM say whether input perturbation helps? And does the norm ratio say the best scaling? */
import { at } from '../../shared/foundation/index.js';
import { measureExposure } from '../../shared/exposure/index.js';
import { samplerPlan } from '../../shared/sampler/index.js';
import type { Bench } from '../study.js';
import { contractOf, DDPM, gaussianImages, gaussianModel, ip, powerLaw } from './closed-forms.js';
import { change, settingsOf, type SamplerCase } from '../cases.js';
import { exactDistances, gaussianCases, PROCESSES, type ProcessName } from './gaussian-case.js';
import { exactPoint } from './gain.js';

const SETTINGS = {
  imageSize: 8,
  gamma: 0.1,
  steps: [10, 20, 50, 100],
  rhos: [0, 0.1, 0.3, 1],
  lambdas: { least: 0.96, most: 1.08, count: 25 },
};

const MOST_DRAWN = 100;

export interface GateRow {
  readonly process: ProcessName;
  readonly sampler: SamplerCase;
  readonly steps: number;
  readonly rho: number;
  /** By Frechet distance. */
  readonly bestLambda: number;
  readonly bestLambdaSpectral: number;
  /** Of DDPM-IP, in percent; negative is better. */
  readonly frechetChange: number;
  readonly spectralChange: number;
}

export async function gateRow(
  process: ProcessName,
  sampler: SamplerCase,
  steps: number,
  rho: number,
): Promise<GateRow> {
  const { imageSize, gamma, lambdas } = SETTINGS;
  const data = { imageSize, channels: 1, deviations: powerLaw(imageSize), basis: 'pixels' } as const;
  const settings = settingsOf(sampler, steps);
  const of = (variant: typeof DDPM, more: object = {}) =>
    exactDistances(data, { process, settings: { ...settings, ...more }, variant, rho });
  const xs = Array.from(
    { length: lambdas.count },
    (_, n) => lambdas.least + ((lambdas.most - lambdas.least) * n) / (lambdas.count - 1),
  );
  const swept = [];
  for (const b of xs) swept.push(await of(DDPM, { epsilonScaling: { k: 0, b } }));
  const [base, perturbed] = [await of(DDPM), await of(ip(gamma))];
  return {
    ...{ process, sampler, steps, rho },
    bestLambda: lowestOf(
      xs,
      swept.map(({ frechet }) => frechet),
    ),
    bestLambdaSpectral: lowestOf(
      xs,
      swept.map(({ spectral }) => spectral),
    ),
    frechetChange: change(perturbed.frechet, base.frechet),
    spectralChange: change(perturbed.spectral, base.spectral),
  };
}

function lowestOf(xs: readonly number[], values: readonly number[]): number {
  return at(xs, values.indexOf(Math.min(...values)));
}

/**
 * Whether the best lambda predicts the sign of IP's effect, with a threshold; undefined within 0.0025 of it. DDPM-IP predicts
 * epsilon smaller by up to 1 + gamma^2 where noise dominates, so that half of it, 1 + gamma^2 / 2, is where a gain begins.
 */
export function agrees(
  bestLambda: number,
  effect: number,
  threshold = 1 + SETTINGS.gamma ** 2 / 2,
): boolean | undefined {
  if (Math.abs(bestLambda - threshold) < 0.0025) return undefined;
  return bestLambda > threshold === effect < 0;
}

export async function gate(bench: Bench): Promise<void> {
  const rows = await bench.piece('gate', SETTINGS, async (say) => {
    const found: GateRow[] = [];
    for (const { process, sampler, steps, rho } of gaussianCases(SETTINGS)) {
      found.push(await gateRow(process, sampler, steps, rho));
      say(`${process}, ${sampler}, ${steps} steps, network error ${rho}`);
    }
    return found;
  });
  await bench.table(
    'gate',
    rows.map((row) => ({ ...row })),
  );
  await bench.figure(
    'gate',
    {
      ...{ name: 'gate', title: 'The gate: best lambda of DDPM, and the effect of IP with gamma = 0.1' },
      ...{ x: 'best constant epsilon scaling lambda of DDPM', y: 'change of Frechet distance by IP, %' },
      scatter: true,
      marks: [{ x: 1 + SETTINGS.gamma ** 2 / 2, text: '1 + gamma² / 2' }],
      curves: [
        {
          name: 'a sampler, a number of steps, a network error',
          points: rows
            .map((row) => exactPoint(row.bestLambda, Math.min(row.frechetChange, MOST_DRAWN)))
            .sort((a, b) => a.x - b.x),
        },
      ],
    },
    [
      'Gaussian data, 8x8, power spectrum 1/f², both processes; 10 to 100 steps, network errors 0 to 1; exact.',
      `Changes of more than ${MOST_DRAWN} % are drawn there.`,
    ],
  );
  await bench.table(
    'gate-agreement',
    ([1, 1 + SETTINGS.gamma ** 2 / 2] as const).flatMap((threshold) => [
      agreement(
        'frechet',
        threshold,
        rows.map((row) => agrees(row.bestLambda, row.frechetChange, threshold)),
      ),
      agreement(
        'spectral',
        threshold,
        rows.map((row) => agrees(row.bestLambdaSpectral, row.spectralChange, threshold)),
      ),
    ]),
  );
  await suggestions(bench);
}

function agreement(distance: string, threshold: number, verdicts: readonly (boolean | undefined)[]) {
  const count = (wanted: boolean | undefined): number => verdicts.filter((each) => each === wanted).length;
  return { distance, threshold, right: count(true), wrong: count(false), tooNear: count(undefined) };
}

const SUGGESTED = {
  imageSize: 8,
  images: 1000,
  seed: '1',
  cases: [
    { sampler: 'ancestral', steps: 10, rho: 0 },
    { sampler: 'ancestral', steps: 20, rho: 0.3 },
    { sampler: 'ancestral', steps: 50, rho: 1 },
    { sampler: 'ddim eta 0.5', steps: 10, rho: 0 },
    { sampler: 'ddim eta 0.5', steps: 20, rho: 0.3 },
    { sampler: 'ddim eta 0', steps: 20, rho: 0 },
    { sampler: 'ddim eta 0', steps: 50, rho: 1 },
  ],
} as const;

/** The measures themselves on such models: what the norm ratio suggests, beside what the sweep finds. */
async function suggestions(bench: Bench): Promise<void> {
  const rows = await bench.piece('suggested-lambda', SUGGESTED, async (say) => {
    const found = [];
    for (const { sampler, steps, rho } of SUGGESTED.cases) {
      const { imageSize, images } = SUGGESTED;
      const data = { imageSize, channels: 1, deviations: powerLaw(imageSize), basis: 'pixels' } as const;
      const contract = contractOf(1, 'learned', 'cosine');
      const settings = { ...settingsOf(sampler, steps), ...PROCESSES.cosine, clipDenoised: false };
      const plan = samplerPlan(settings, contract);
      const results = await measureExposure({
        model: gaussianModel(data, contract, { rho, reverse: { plan, variance: 'common' } }),
        data: gaussianImages(data, 1n, 2 * images),
        ...{
          sampler: settings,
          images,
          seed: BigInt(SUGGESTED.seed),
          measures: ['epsilon_norm', 'lambda_sweep'],
        },
        settings: { lambda_sweep: { least: 0.96, most: 1.08, count: 13 } },
      });
      const value = (name: string, part: 'value' | 'low' | 'high'): number =>
        results.flatMap(({ findings }) => findings).find((each) => each.name === name)?.[part] ?? NaN;
      const row = { sampler, steps, rho };
      found.push({
        ...row,
        ...Object.fromEntries(
          (['value', 'low', 'high'] as const).flatMap((part) => [
            [`suggested ${part}`, value('suggested constant lambda', part)],
            [`best ${part}`, value('best lambda by Frechet distance', part)],
          ]),
        ),
      });
      say(JSON.stringify(row));
    }
    return found;
  });
  await bench.table('suggested-lambda', rows);
}
