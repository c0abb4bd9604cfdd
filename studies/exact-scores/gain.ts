/** What input perturbation changes, by sampler, steps and network error: its gain, and where it turns into a loss. */
import type { Bench } from '../study.js';
import { DDPM, ip, powerLaw, y } from './closed-forms.js';
import { change, SAMPLER_CASES, settingsOf, slugOf, type SamplerCase } from '../cases.js';
import { exactDistances, gaussianCases, type ProcessName } from './gaussian-case.js';

const SETTINGS = {
  imageSize: 16,
  exponent: 2,
  pixelVariance: 0.25,
  steps: [10, 20, 50, 100],
  rhos: [0, 0.1, 0.3, 1],
  gammas: [0.05, 0.1, 0.15],
};

export interface GainRow {
  readonly process: ProcessName;
  readonly sampler: SamplerCase;
  readonly steps: number;
  readonly rho: number;
  readonly variant: string;
  readonly frechet: number;
  readonly spectral: number;
  readonly energy: number;
  /** Against DDPM, in percent; negative is better. */
  readonly frechetChange: number;
  readonly spectralChange: number;
}

/** DDPM, DDPM-y and DDPM-IP in one case. */
export async function gainRows(
  process: ProcessName,
  sampler: SamplerCase,
  steps: number,
  rho: number,
  gammas: readonly number[] = SETTINGS.gammas,
  imageSize = SETTINGS.imageSize,
): Promise<GainRow[]> {
  const deviations = powerLaw(imageSize, SETTINGS.exponent, SETTINGS.pixelVariance);
  const data = { imageSize, channels: 1, deviations, basis: 'pixels' } as const;
  const settings = settingsOf(sampler, steps);
  const of = (variant: typeof DDPM) => exactDistances(data, { process, settings, variant, rho });
  const base = await of(DDPM);
  const variants = [
    ['DDPM', DDPM],
    ['DDPM-y 0.1', y(0.1)],
    ...gammas.map((gamma) => [`DDPM-IP ${gamma}`, ip(gamma)] as const),
  ] as const;
  const rows: GainRow[] = [];
  for (const [name, variant] of variants) {
    const found = variant === DDPM ? base : await of(variant);
    rows.push({
      ...{ process, sampler, steps, rho, variant: name, ...found },
      frechetChange: change(found.frechet, base.frechet),
      spectralChange: change(found.spectral, base.spectral),
    });
  }
  return rows;
}

export async function gain(bench: Bench): Promise<void> {
  const rows = await bench.piece('gain', SETTINGS, async (say) => {
    const found: GainRow[] = [];
    for (const { process, sampler, steps, rho } of gaussianCases(SETTINGS)) {
      found.push(...(await gainRows(process, sampler, steps, rho)));
      say(`${process}, ${sampler}, ${steps} steps, network error ${rho}`);
    }
    return found;
  });
  await bench.table(
    'gain',
    rows.map((row) => ({ ...row })),
  );

  for (const [metric, what] of [
    ['frechetChange', 'Frechet distance'],
    ['spectralChange', 'log-spectral distance'],
  ] as const) {
    for (const sampler of SAMPLER_CASES) {
      const of = rows.filter(
        (row) => row.process === 'cosine' && row.sampler === sampler && row.variant === 'DDPM-IP 0.1',
      );
      const curves = SETTINGS.rhos.map((rho) => ({
        name: `network error ${rho}`,
        points: of.filter((row) => row.rho === rho).map((row) => exactPoint(row.steps, row[metric])),
      }));
      const figure = {
        ...{ name: metric, title: `DDPM-IP (gamma = 0.1) against DDPM, ${sampler}: change of the ${what}` },
        ...{ x: 'steps', y: '% (below 0: IP is better)', curves },
      };
      const notes = [
        'Gaussian data, 16x16, power spectrum 1/f², cosine schedule, leading spacing; exact, so without intervals.',
        'Network error: variance of its white error over the mean squared error of the best network.',
      ];
      await bench.figure(`gain-${slugOf(sampler)}-${metric}`, figure, notes);
    }
  }
}

export function exactPoint(x: number, value: number) {
  return { x, value, low: value, high: value };
}
