/** One case of the Gaussian pieces: a process, a sampler, a variant and a network error, and what comes out exactly. */
import { samplerPlan, type SamplerSettings } from '../../shared/sampler/index.js';
import { SAMPLER_CASES, type SamplerCase } from '../cases.js';
import { contractOf, gaussianModel, type GaussianData, type Variant } from './closed-forms.js';
import { distancesOf, exactDeviations, type Distances } from './exact-spread.js';

/** Nothing is clipped, so no process may begin where an error of epsilon is one of x_0 without any bound. */
export const PROCESSES = {
  /** T - 1 is not visited. */
  cosine: { spacing: 'leading' },
  linear: {},
} as const;
export type ProcessName = keyof typeof PROCESSES;

export interface GaussianCase {
  readonly process: ProcessName;
  readonly settings: SamplerSettings;
  readonly variant: Variant;
  readonly rho: number;
}

/** Every process and sampler that is compared, with each number of steps and each network error. */
export function* gaussianCases({
  steps,
  rhos,
}: {
  readonly steps: readonly number[];
  readonly rhos: readonly number[];
}): Generator<{
  readonly process: ProcessName;
  readonly sampler: SamplerCase;
  readonly steps: number;
  readonly rho: number;
}> {
  for (const process of Object.keys(PROCESSES) as ProcessName[])
    for (const sampler of SAMPLER_CASES)
      for (const count of steps) for (const rho of rhos) yield { process, sampler, steps: count, rho };
}

/** Ancestral steps have the best reverse variance that all values can share. */
export async function exactDistances(
  data: GaussianData,
  { process, settings, variant, rho }: GaussianCase,
): Promise<Distances> {
  return distancesOf(await deviationsOf(data, { process, settings, variant, rho }), data.deviations);
}

export async function deviationsOf(
  data: GaussianData,
  { process, settings, variant, rho }: GaussianCase,
): Promise<Float64Array> {
  const contract = contractOf(data.channels, 'learned', process);
  const plan = samplerPlan({ clipDenoised: false, ...PROCESSES[process], ...settings }, contract);
  const model = gaussianModel(data, contract, { variant, reverse: { plan, variance: 'common' } });
  return exactDeviations(data, model, plan, rho);
}
