/** Tables and figures of the study, from what has been done so far. */
import { at } from '../../shared/foundation/index.js';
import type { Curve, Finding, MeasureResult } from '../../shared/exposure/index.js';
import { intervalOverSeeds, percentileInterval, type Estimate } from '../../shared/statistics/index.js';
import { change, SAMPLER_CASES, type SamplerCase } from '../small-networks/cases.js';
import type { Network } from '../small-networks/networks.js';
import type { Distances } from '../small-networks/samples.js';
import type { Sweep } from '../small-networks/sweep.js';
import type { Bench, Row } from '../study.js';
import type { Behaviour, MeasuredSet, SampledCase } from './sets.js';
import type { VariantsPlan } from './study.js';

export interface Found {
  readonly sets: (SampledCase & { readonly set: MeasuredSet })[];
  readonly sweeps: (SampledCase & { readonly sweep: Sweep })[];
  readonly behaviours: { readonly network: Network; readonly behaviour: Behaviour }[];
}

const LEVEL = 0.95;
const METRICS = ['frechet', 'spectral', 'upper'] as const;
type Metric = (typeof METRICS)[number];

export async function report(bench: Bench, found: Found, plan: VariantsPlan): Promise<void> {
  const pairs = pairsOf(found);
  await bench.table('sets', found.sets.map(setRow));
  if (pairs.length > 0) {
    await bench.table('changes', pairs.map(changeRow));
    await bench.table('changes-over-seeds', overSeeds(pairs));
  }
  if (found.sweeps.length > 0) await bench.table('scaled', found.sweeps.map(sweepRow));
  if (found.behaviours.length > 0) await bench.table('behaviour', found.behaviours.map(behaviourRow));
  await figures(bench, found, plan);
}

const sameBut =
  ({ network, sampler, steps }: SampledCase) =>
  (other: SampledCase): boolean =>
    other.network.variant === 'DDPM' &&
    other.network.images === network.images &&
    other.network.seed === network.seed &&
    other.network.age === network.age &&
    other.sampler === sampler &&
    other.steps === steps;

interface Pair extends SampledCase {
  readonly changes: Readonly<Record<Metric, Estimate>>;
}

/** Each set of another variant beside DDPM's of the same seed, age, sampler and steps. */
function pairsOf({ sets }: Found): Pair[] {
  return sets.flatMap((one) => {
    const base = one.network.variant === 'DDPM' ? undefined : sets.find(sameBut(one));
    if (base === undefined) return [];
    const of = (metric: Metric) => pairedChange(one.set.training[metric], base.set.training[metric]);
    const { network, sampler, steps } = one;
    const changes = { frechet: of('frechet'), spectral: of('spectral'), upper: of('upper') };
    return [{ network, sampler, steps, changes }];
  });
}

/** In percent; both sides of a resample count the same samples. */
export function pairedChange(one: Distances[Metric], base: Distances[Metric]): Estimate {
  const resampled = one.resamples.map((value, b) => change(value, at(base.resamples, b)));
  return percentileInterval(change(one.value, base.value), resampled, LEVEL);
}

function described({ network, sampler, steps }: SampledCase) {
  const { variant, seed, age } = network;
  return { variant, seed, age, sampler, steps };
}

function estimated(name: string, { value, low, high }: Estimate): Row {
  return { [name]: shown(value), [`${name} low`]: shown(low), [`${name} high`]: shown(high) };
}
const shown = (value: number): number => Number(value.toPrecision(4));

function setRow(one: Found['sets'][number]): Row {
  const { training, heldOutFrechet } = one.set;
  return {
    ...described(one),
    ...Object.assign(
      {},
      ...METRICS.map((metric) =>
        estimated(metric, percentileInterval(training[metric].value, training[metric].resamples, LEVEL)),
      ),
    ),
    'frechet to held-out images': shown(heldOutFrechet),
  };
}

function changeRow(pair: Pair): Row {
  return {
    ...described(pair),
    ...Object.assign({}, ...METRICS.map((metric) => estimated(`${metric} %`, pair.changes[metric]))),
  };
}

/** Means over seeds, with Student's t; where there is one seed only, nothing. */
function overSeeds(pairs: readonly Pair[]): Row[] {
  const groups = grouped(pairs, ({ network, sampler, steps }) =>
    [network.variant, network.age, sampler, steps].join(),
  );
  return groups.flatMap(([, group]) => {
    const [first] = group;
    if (first === undefined || group.length < 2) return [];
    const { seed: _, ...rest } = described(first);
    const of = (metric: Metric) => intervalOverSeeds(group.map(({ changes }) => changes[metric].value));
    return [
      {
        ...{ ...rest, seeds: group.length },
        ...Object.assign({}, ...METRICS.map((metric) => estimated(`${metric} %`, of(metric)))),
      },
    ];
  });
}

/** The distance without scaling, and the smallest over lambda. */
function sweepRow(one: Found['sweeps'][number]): Row {
  const { frechet, bestFrechet } = one.sweep;
  const values = frechet.map(({ value }) => value);
  const plain = frechet.reduce((a, b) => (Math.abs(b.x - 1) < Math.abs(a.x - 1) ? b : a));
  return {
    ...described(one),
    ...estimated('best lambda', bestFrechet),
    ...{ 'distance at 1': shown(plain.value), 'smallest distance': shown(Math.min(...values)) },
  };
}

function behaviourRow({ network: { variant, seed, age }, behaviour }: Found['behaviours'][number]): Row {
  const findings = behaviour.exposure.flatMap(({ measure, findings: some }: MeasureResult) =>
    some.map((finding: Finding) => estimated(`${measure}: ${finding.name.replaceAll(',', ';')}`, finding)),
  );
  return {
    ...{ variant, seed, age, 'held-out error of epsilon': shown(behaviour.error) },
    ...Object.assign({}, ...findings),
  };
}

async function figures(bench: Bench, { sets }: Found, plan: VariantsPlan): Promise<void> {
  const oldest = Math.max(...sets.map(({ network }) => network.age));
  const seeds = new Set(sets.map(({ network }) => network.seed));
  for (const seed of seeds)
    for (const sampler of SAMPLER_CASES) {
      const of = sets.filter(
        ({ network, sampler: s }) => network.seed === seed && network.age === oldest && s === sampler,
      );
      const figure = {
        ...{ name: 'frechet', title: `Frechet distance by steps, ${sampler}, training seed ${seed}` },
        ...{ x: 'sampling steps', y: 'Frechet distance of pixels', logarithmic: true as const },
        curves: curvesOf(of, ({ steps }) => steps),
      };
      await bench.figure(`frechet-${sampler.replaceAll(/[ .]/g, '-')}-seed-${seed}`, figure, [
        `${plan.images}, ${oldest} optimizer steps, ${plan.set.samples} samples against the training images; bands are 95 % over samples.`,
      ]);
    }
  await agesFigure(bench, sets, plan);
}

/** How much sooner: distance by age, where several ages have been measured. */
async function agesFigure(bench: Bench, sets: Found['sets'], plan: VariantsPlan): Promise<void> {
  const [steps = 0] = plan.stages.flatMap((stage) => stage.sets);
  const sampler: SamplerCase = 'ancestral';
  const of = sets.filter((one) => one.network.seed === 1 && one.sampler === sampler && one.steps === steps);
  if (new Set(of.map(({ network }) => network.age)).size < 2) return;
  const figure = {
    ...{ name: 'ages', title: `Frechet distance by training, ${sampler}, ${steps} steps` },
    ...{ x: 'optimizer steps', y: 'Frechet distance of pixels', logarithmic: true as const },
    curves: curvesOf(of, ({ network }) => network.age),
  };
  await bench.figure('ages', figure, [
    `${plan.images}, training seed 1, ${plan.set.samples} samples; bands are 95 % over samples.`,
  ]);
}

function curvesOf(sets: Found['sets'], x: (one: Found['sets'][number]) => number): Curve[] {
  return grouped(sets, ({ network }) => network.variant).map(([name, some]) => ({
    name,
    points: some
      .map((one) => {
        const { value, resamples } = one.set.training.frechet;
        return { x: x(one), ...percentileInterval(value, resamples, LEVEL) };
      })
      .sort((a, b) => a.x - b.x),
  }));
}

/** By key, in the order of first appearance. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): [string, T[]][] {
  return [...new Set(items.map(keyOf))].map((key) => [key, items.filter((item) => keyOf(item) === key)]);
}
