/** The samplers that the studies compare, and how. */
import type { SamplerSettings } from '../shared/sampler/index.js';

const SAMPLERS_COMPARED = {
  ancestral: { sampler: 'ancestral' },
  'ddim eta 0.5': { sampler: 'ddim', eta: 0.5 },
  'ddim eta 0': { sampler: 'ddim', eta: 0 },
} as const satisfies Readonly<Record<string, SamplerSettings>>;
export type SamplerCase = keyof typeof SAMPLERS_COMPARED;

export const SAMPLER_CASES = Object.keys(SAMPLERS_COMPARED) as SamplerCase[];

/** As a part of a file's name. */
export function slugOf(sampler: SamplerCase): string {
  return sampler.replaceAll(/[ .]/g, '-');
}

export function settingsOf(sampler: SamplerCase, steps: number): SamplerSettings {
  return { ...SAMPLERS_COMPARED[sampler], steps };
}

/** How much larger, in percent. */
export function change(value: number, base: number): number {
  return 100 * (value / base - 1);
}
