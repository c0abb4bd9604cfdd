/** Remedies in sampling on top of each variant: what input perturbation adds beside them. */
import { isDeepStrictEqual } from 'node:util';

import { at } from '../../shared/foundation/index.js';
import type { Remedies } from '../../shared/sampler/index.js';
import { intervalOverSeeds } from '../../shared/statistics/index.js';
import { change, settingsOf, slugOf } from '../cases.js';
import { nameOf, withNetwork } from '../small-networks/networks.js';
import { distancesOf, sampleRows, type Distances } from '../small-networks/samples.js';
import type { Bench, Row } from '../study.js';
import { described, estimated, grouped, intervalOf, joined, pairedChange, shown } from './rows.js';
import { referencesOf, type SampledCase, type SetSettings } from './sets.js';

/** The values that are tried of each; which is best is asked of each network, sampler and number of steps. */
const TRIED = {
  'epsilon scaling': [0.98, 0.99, 1.01, 1.02, 1.03, 1.04, 1.05].map((b) => ({ epsilonScaling: { k: 0, b } })),
  'wavelet correction': [-0.1, -0.05, -0.02, 0.02, 0.05, 0.1].map((waveletCorrection) => ({
    waveletCorrection,
  })),
  'time shift': [200, 500, 800].flatMap((cutoff) =>
    [40, 100, 200].map((window) => ({ timeShift: { window, cutoff } })),
  ),
  'score rescaling': [0.9, 0.95, 1.05, 1.1].map((k) => ({ scoreRescaling: { k, sigma: 1 } })),
  'variance normalisation': [{ varianceNormalisation: true }],
} as const satisfies Readonly<Record<string, readonly Remedies[]>>;
type RemedyName = keyof typeof TRIED;
const NAMES = Object.keys(TRIED) as RemedyName[];

/** The set without a remedy, and that of each remedy with the value that was chosen; all have the same noise. */
export interface RemediedCase extends SampledCase {
  readonly plain: Distances;
  readonly remedied: Readonly<Record<RemedyName, Remedied>>;
}

interface Remedied {
  readonly chosen: Remedies;
  readonly training: Distances;
}

export interface RemedySettings extends SetSettings {
  /** Samples and seed with which values are chosen: other noise than that of the sets, so that no choice flatters itself. */
  readonly choice: Pick<SetSettings, 'samples' | 'seed'>;
}

/** `plain` is the set of `settings` without a remedy. */
export async function remediedOf(
  bench: Bench,
  one: SampledCase,
  plain: Distances,
  settings: RemedySettings,
): Promise<RemediedCase> {
  const results: [RemedyName, Remedied][] = [];
  for (const remedy of NAMES) results.push([remedy, await remedyOf(bench, one, remedy, settings)]);
  return { ...one, plain, remedied: Object.fromEntries(results) as Record<RemedyName, Remedied> };
}

/** A piece for each remedy, so that one that is added, or gets more values, leaves the others as they are. */
function remedyOf(
  bench: Bench,
  { network, sampler, steps }: SampledCase,
  remedy: RemedyName,
  settings: RemedySettings,
): Promise<Remedied> {
  const of = `${nameOf(network)}-${network.age}-${slugOf(sampler)}-${steps}`;
  const tried: readonly Remedies[] = TRIED[remedy];
  const name = `remedy-${remedy.replaceAll(' ', '-')}-${of}`;
  return bench.piece(name, { network, sampler, steps, ...settings, tried }, (say) =>
    withNetwork(bench, network, say, async (model) => {
      const { training } = await referencesOf(bench, network);
      const measured = async (value: Remedies, set: SetSettings): Promise<Distances> => {
        const rows = await sampleRows(
          model,
          { ...settingsOf(sampler, steps), ...value },
          ...([set.samples, BigInt(set.seed), bench.signal] as const),
        );
        return distancesOf(rows, training, set.resamples);
      };
      const chosen = await best(tried, async (value) => {
        const { frechet } = await measured(value, { ...settings.choice, resamples: 0 });
        return frechet.value;
      });
      return { chosen, training: await measured(chosen, settings) };
    }),
  );
}

/** The one with the smallest cost; a single one is not asked. */
async function best<T>(of: readonly T[], cost: (one: T) => Promise<number>): Promise<T> {
  if (of.length === 1) return at(of, 0);
  const costs: number[] = [];
  for (const one of of) costs.push(await cost(one));
  return at(of, costs.indexOf(Math.min(...costs)));
}

/** Each network with each remedy, beside the same network without. */
export function remedyRows(cases: readonly RemediedCase[]): Row[] {
  return cases.flatMap((one) =>
    NAMES.map((remedy) => {
      const { chosen, training } = one.remedied[remedy];
      return {
        ...described(one),
        ...{ remedy, value: Object.values(chosen).map(valueText).join(' ') },
        ...estimated('frechet', intervalOf(training.frechet)),
        ...estimated('frechet % of no remedy', pairedChange(training.frechet, one.plain.frechet)),
        ...{ spectral: shown(training.spectral.value), upper: shown(training.upper.value) },
      };
    }),
  );
}

function valueText(value: Remedies[keyof Remedies]): string {
  return typeof value === 'object' ? Object.values(value).join(' ') : String(value);
}

/**
 * Over training seeds: by how much each variant is ahead of DDPM where both have the same remedy, each with its own best
 * value, and by how much both together are ahead of DDPM without one.
 */
export function remedyRowsOverSeeds(cases: readonly RemediedCase[]): Row[] {
  const groups = grouped(cases, ({ network: { images, variant, age }, sampler, steps }) =>
    [images, variant, age, sampler, steps].join(),
  );
  return groups.flatMap(([, group]) =>
    ['none', ...NAMES].flatMap((remedy) => {
      const changes = group.flatMap((one) => {
        const base = cases.find((other) => other.network.variant === 'DDPM' && isBeside(other, one));
        if (base === undefined) return [];
        const value = distanceWith(one, remedy);
        return [
          [change(value, distanceWith(base, remedy)), change(value, base.plain.frechet.value)],
        ] as const;
      });
      if (changes.length < 2) return [];
      const over = (place: 0 | 1) => intervalOverSeeds(changes.map((pair) => pair[place]));
      const { images, variant, age, sampler, steps } = described(group[0]);
      return [
        {
          ...{ images, variant, age, sampler, steps, seeds: changes.length, remedy },
          ...joined([
            estimated('frechet % of DDPM with the same remedy', over(0)),
            estimated('frechet % of DDPM without a remedy', over(1)),
          ]),
        },
      ];
    }),
  );
}

function isBeside(one: SampledCase, other: SampledCase): boolean {
  return isDeepStrictEqual({ ...described(one), variant: '' }, { ...described(other), variant: '' });
}

function distanceWith({ plain, remedied }: RemediedCase, remedy: string): number {
  const name = NAMES.find((each) => each === remedy);
  return (name === undefined ? plain : remedied[name].training).frechet.value;
}
