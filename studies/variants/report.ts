/** Tables and figures of the study, from what has been done so far. */
import { at } from '../../shared/foundation/index.js';
import type { Curve, Finding, MeasureResult } from '../../shared/exposure/index.js';
import {
  intervalOverSeeds,
  meanOf,
  percentileInterval,
  type Estimate,
} from '../../shared/statistics/index.js';
import { change, slugOf } from '../cases.js';
import type { Network } from '../small-networks/networks.js';
import type { Resampled } from '../small-networks/samples.js';
import type { Sweep } from '../small-networks/sweep.js';
import { verdict } from '../gate/study.js';
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
  const tables = {
    changes: pairs.map(changeRow),
    'changes-over-seeds': overSeeds(pairs),
    scaled: found.sweeps.map(sweepRow),
    'gate-agreement': gateRows(found, pairs),
    behaviour: found.behaviours.map(behaviourRow),
  };
  for (const [name, rows] of Object.entries(tables)) if (rows.length > 0) await bench.table(name, rows);
  await figures(bench, found, plan);
}

/** Whether the first is DDPM's of the other's images, seed, age, sampler and steps. */
function isBaseOf({ network, sampler, steps }: SampledCase, other: SampledCase): boolean {
  return (
    network.variant === 'DDPM' &&
    network.images === other.network.images &&
    network.seed === other.network.seed &&
    network.age === other.network.age &&
    sampler === other.sampler &&
    steps === other.steps
  );
}

interface Pair extends SampledCase {
  readonly changes: Readonly<Record<Metric, Estimate>>;
}

/** Each set of another variant beside DDPM's of the same seed, age, sampler and steps. */
function pairsOf({ sets }: Found): Pair[] {
  return sets.flatMap((one) => {
    const base = sets.find((each) => isBaseOf(each, one));
    if (base === undefined || base === one) return [];
    const of = (metric: Metric) => pairedChange(one.set.training[metric], base.set.training[metric]);
    const { network, sampler, steps } = one;
    const changes = { frechet: of('frechet'), spectral: of('spectral'), upper: of('upper') };
    return [{ network, sampler, steps, changes }];
  });
}

/**
 * A resample repeats samples, which makes its Frechet distance larger than that of the set. What counts is how resamples
 * differ from each other, so they are moved to have the set's value in the mean.
 */
function centred({ value, resamples }: Resampled): readonly number[] {
  const bias = resamples.length === 0 ? 0 : meanOf(resamples) - value;
  return resamples.map((each) => each - bias);
}

function intervalOf(of: Resampled): Estimate {
  return percentileInterval(of.value, centred(of), LEVEL);
}

/** In percent; both sides of a resample count the same samples. */
export function pairedChange(one: Resampled, base: Resampled): Estimate {
  const [resampled, baseResampled] = [centred(one), centred(base)];
  const changes = resampled.map((value, b) => change(value, at(baseResampled, b)));
  return percentileInterval(change(one.value, base.value), changes, LEVEL);
}

function described({ network, sampler, steps }: SampledCase) {
  const { variant, seed, age } = network;
  return { variant, seed, age, sampler, steps };
}

function estimated(name: string, { value, low, high }: Estimate): Row {
  return { [name]: shown(value), [`${name} low`]: shown(low), [`${name} high`]: shown(high) };
}
const shown = (value: number): number => Number(value.toPrecision(4));

function ofMetrics(suffix: string, of: (metric: Metric) => Estimate): Row {
  return joined(METRICS.map((metric) => estimated(`${metric}${suffix}`, of(metric))));
}

function joined(rows: readonly Row[]): Row {
  return Object.fromEntries(rows.flatMap((row) => Object.entries(row)));
}

function setRow(one: Found['sets'][number]): Row {
  const { training, heldOutFrechet } = one.set;
  return {
    ...described(one),
    ...ofMetrics('', (metric) => intervalOf(training[metric])),
    'frechet to held-out images': shown(heldOutFrechet),
  };
}

function changeRow(pair: Pair): Row {
  return { ...described(pair), ...ofMetrics(' %', (metric) => pair.changes[metric]) };
}

/** Means over seeds, with Student's t; where there is one seed only, nothing. */
function overSeeds(pairs: readonly Pair[]): Row[] {
  const groups = grouped(pairs, ({ network, sampler, steps }) =>
    [network.variant, network.age, sampler, steps].join(),
  );
  return groups.flatMap(([, group]) => {
    const [{ network, sampler, steps }] = group;
    if (group.length < 2) return [];
    const of = (metric: Metric) => intervalOverSeeds(group.map(({ changes }) => changes[metric].value));
    const { variant, age } = network;
    return [{ variant, age, sampler, steps, seeds: group.length, ...ofMetrics(' %', of) }];
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

/** What the gate says of DDPM's networks, beside what training with gamma 0.1 made of the same case. */
function gateRows({ sweeps }: Found, pairs: readonly Pair[]): Row[] {
  return sweeps.flatMap((swept) => {
    if (swept.network.variant !== 'DDPM') return [];
    const pair = pairs.find((each) => each.network.variant === 'DDPM-IP 0.1' && isBaseOf(swept, each));
    if (pair === undefined) return [];
    const { frechet } = pair.changes;
    const effect = frechet.high < 0 ? 'helps' : frechet.low > 0 ? 'harms' : 'open';
    const { seed, age, sampler, steps } = described(swept);
    const { bestFrechet } = swept.sweep;
    return [
      {
        ...{ seed, age, sampler, steps, ...estimated('best lambda', bestFrechet) },
        ...{ gate: verdict(bestFrechet), ...estimated('frechet %', frechet), effect },
      },
    ];
  });
}

function behaviourRow({ network: { variant, seed, age }, behaviour }: Found['behaviours'][number]): Row {
  const findings = behaviour.exposure.flatMap(({ measure, findings: some }: MeasureResult) =>
    some.map((finding: Finding) => estimated(`${measure}: ${finding.name.replaceAll(',', ';')}`, finding)),
  );
  return {
    ...{ variant, seed, age, 'held-out error of epsilon': shown(behaviour.error) },
    ...joined(findings),
  };
}

async function figures(bench: Bench, { sets }: Found, plan: VariantsPlan): Promise<void> {
  const of = grouped(sets, ({ network: { seed, age }, sampler }) => [sampler, seed, age].join());
  for (const [, some] of of) {
    const [{ network, sampler }] = some;
    if (new Set(some.map(({ steps }) => steps)).size < 2) continue;
    const { seed, age } = network;
    const figure = {
      ...{ name: 'frechet', title: `Frechet distance by steps, ${sampler}, after ${age} optimizer steps` },
      ...{ x: 'sampling steps', y: 'Frechet distance of pixels', logarithmic: true as const },
      curves: curvesOf(some, ({ steps }) => steps),
    };
    await bench.figure(`frechet-${slugOf(sampler)}-${age}-seed-${seed}`, figure, [
      `${plan.images}, training seed ${seed}, ${plan.set.samples} samples against the training images; bands are 95 % over samples.`,
    ]);
  }
  await agesFigures(bench, sets, plan);
}

/** How much sooner: distance by age, where several ages have been measured. */
async function agesFigures(bench: Bench, sets: Found['sets'], plan: VariantsPlan): Promise<void> {
  for (const [, some] of grouped(sets, ({ network, sampler, steps }) =>
    [sampler, steps, network.seed].join(),
  )) {
    const [{ network, sampler, steps }] = some;
    if (new Set(some.map((one) => one.network.age)).size < 2) continue;
    const figure = {
      ...{ name: 'ages', title: `Frechet distance by training, ${sampler}, ${steps} steps` },
      ...{ x: 'optimizer steps', y: 'Frechet distance of pixels', logarithmic: true as const },
      curves: curvesOf(some, (one) => one.network.age),
    };
    await bench.figure(`ages-${slugOf(sampler)}-${steps}-seed-${network.seed}`, figure, [
      `${plan.images}, training seed ${network.seed}, ${plan.set.samples} samples; bands are 95 % over samples.`,
    ]);
  }
}

function curvesOf(sets: Found['sets'], x: (one: Found['sets'][number]) => number): Curve[] {
  return grouped(sets, ({ network }) => network.variant).map(([name, some]) => ({
    name,
    points: some
      .map((one) => ({ x: x(one), ...intervalOf(one.set.training.frechet) }))
      .sort((a, b) => a.x - b.x),
  }));
}

/** By key, in the order of first appearance. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): [string, [T, ...T[]]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return [...groups];
}
