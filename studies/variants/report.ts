/** Tables and figures of the study, from what has been done so far. */
import { isDeepStrictEqual } from 'node:util';

import type { Curve, Figure, Finding, MeasureResult } from '../../shared/exposure/index.js';
import { intervalOverSeeds, type Estimate } from '../../shared/statistics/index.js';
import { change, slugOf } from '../cases.js';
import type { Network } from '../small-networks/networks.js';
import type { StepCosts } from '../small-networks/cost.js';
import type { Sweep } from '../small-networks/sweep.js';
import { verdict } from '../gate/study.js';
import type { Bench, Row } from '../study.js';
import { remedyRows, remedyRowsOverSeeds, type RemediedCase } from './remedies.js';
import { described, estimated, grouped, intervalOf, joined, pairedChange, shown } from './rows.js';
import type { Behaviour, MeasuredSet, Pictures, SampledCase } from './sets.js';

export interface Found {
  readonly sets: (SampledCase & { readonly samples: number; readonly set: MeasuredSet })[];
  readonly sweeps: (SampledCase & { readonly sweep: Sweep })[];
  readonly behaviours: { readonly network: Network; readonly behaviour: Behaviour }[];
  readonly pictures: (SampledCase & { readonly pictures: Pictures })[];
  readonly remedied: RemediedCase[];
  readonly costs: StepCosts | undefined;
}

const METRICS = ['frechet', 'spectral', 'upper'] as const;
type Metric = (typeof METRICS)[number];

export async function report(bench: Bench, found: Found): Promise<void> {
  const pairs = pairsOf(found);
  await bench.table('sets', found.sets.map(setRow));
  const tables = {
    changes: pairs.map(changeRow),
    'changes-over-seeds': overSeeds(pairs),
    scaled: found.sweeps.map(sweepRow),
    'gate-agreement': gateRows(found, pairs),
    remedies: remedyRows(found.remedied),
    'remedies-over-seeds': remedyRowsOverSeeds(found.remedied),
    behaviour: found.behaviours.map(behaviourRow),
    'behaviour-over-seeds': behavioursOverSeeds(found),
    cost: costRows(found.costs ?? {}),
  };
  for (const [name, rows] of Object.entries(tables)) if (rows.length > 0) await bench.table(name, rows);
  await figures(bench, found);
  await pictures(bench, found);
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
  readonly samples: number;
  readonly changes: Readonly<Record<Metric, Estimate>>;
}

/** Each set of another variant beside DDPM's of the same seed, age, sampler and steps. */
function pairsOf({ sets }: Found): Pair[] {
  return sets.flatMap((one) => {
    const base = sets.find((each) => isBaseOf(each, one));
    if (base === undefined || base === one) return [];
    const of = (metric: Metric) => pairedChange(one.set.training[metric], base.set.training[metric]);
    const { network, sampler, steps, samples } = one;
    const changes = { frechet: of('frechet'), spectral: of('spectral'), upper: of('upper') };
    return [{ network, sampler, steps, samples, changes }];
  });
}

function ofMetrics(suffix: string, of: (metric: Metric) => Estimate): Row {
  return joined(METRICS.map((metric) => estimated(`${metric}${suffix}`, of(metric))));
}

function setRow(one: Found['sets'][number]): Row {
  const { training, heldOutFrechet } = one.set;
  return {
    ...{ ...described(one), samples: one.samples },
    ...ofMetrics('', (metric) => intervalOf(training[metric])),
    'frechet to held-out images': shown(heldOutFrechet),
  };
}

function changeRow(pair: Pair): Row {
  return { ...described(pair), samples: pair.samples, ...ofMetrics(' %', (metric) => pair.changes[metric]) };
}

/** Means over seeds, with Student's t; where there is one seed only, nothing. */
function overSeeds(pairs: readonly Pair[]): Row[] {
  const groups = grouped(pairs, ({ network, sampler, steps }) =>
    [network.images, network.variant, network.age, sampler, steps].join(),
  );
  return groups.flatMap(([, group]) => {
    const [{ network, sampler, steps }] = group;
    if (group.length < 2) return [];
    const of = (metric: Metric) => intervalOverSeeds(group.map(({ changes }) => changes[metric].value));
    const { images, variant, age } = network;
    return [{ images, variant, age, sampler, steps, seeds: group.length, ...ofMetrics(' %', of) }];
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
    const { images, seed, age, sampler, steps } = described(swept);
    const { bestFrechet } = swept.sweep;
    return [
      {
        ...{ images, seed, age, sampler, steps, ...estimated('best lambda', bestFrechet) },
        ...{ gate: verdict(bestFrechet), ...estimated('frechet %', frechet), effect },
      },
    ];
  });
}

type OneBehaviour = Found['behaviours'][number];

function behaviourRow({ network: { images, variant, seed, age }, behaviour }: OneBehaviour): Row {
  return {
    ...{ images, variant, seed, age, 'held-out error of epsilon': shown(behaviour.error) },
    ...joined(findingsOf(behaviour).map(([name, finding]) => estimated(name, finding))),
  };
}

function findingsOf({ exposure }: Behaviour): [string, Finding][] {
  return exposure.flatMap(({ measure, findings }: MeasureResult) =>
    findings.map((finding): [string, Finding] => [
      `${measure}: ${finding.name.replaceAll(',', ';')}`,
      finding,
    ]),
  );
}

/** By how much more each measure finds than in DDPM of the same images, seed and age: means over seeds in percent. */
function behavioursOverSeeds({ behaviours }: Found): Row[] {
  const groups = grouped(behaviours, ({ network: { images, variant, age } }) =>
    [images, variant, age].join(),
  );
  return groups.flatMap(([, group]) => {
    const changes = group.flatMap(({ network, behaviour }) => {
      const base = behaviours.find((other) =>
        isDeepStrictEqual(other.network, { ...network, variant: 'DDPM' }),
      );
      if (base === undefined || network.variant === 'DDPM') return [];
      const findings = new Map(findingsOf(base.behaviour));
      return [
        new Map(
          findingsOf(behaviour).map(([name, { value }]) => [
            name,
            change(value, findings.get(name)?.value ?? NaN),
          ]),
        ),
      ];
    });
    if (changes.length < 2) return [];
    const names = [...(changes[0]?.keys() ?? [])];
    const { images, variant, age } = group[0].network;
    const over = (name: string) => intervalOverSeeds(changes.map((each) => each.get(name) ?? NaN));
    return [
      {
        ...{ images, variant, age, seeds: changes.length },
        ...joined(names.map((name) => estimated(`${name} %`, over(name)))),
      },
    ];
  });
}

function costRows(costs: StepCosts): Row[] {
  return Object.entries(costs).map(([variant, seconds]) => ({
    ...{ variant, 'processor ms a step': shown(1000 * seconds) },
    'times DDPM': shown(seconds / (costs.DDPM ?? NaN)),
  }));
}

/** A row for each variant, the same noise in each column; the table says which row is whose. */
async function pictures(bench: Bench, found: Found): Promise<void> {
  const groups = grouped(found.pictures, ({ network: { images, seed, age }, sampler, steps }) =>
    ['images', images, slugOf(sampler), steps, age, `seed-${seed}`].join('-'),
  );
  for (const [name, some] of groups)
    await bench.images(
      name,
      some.map(({ pictures: { images, png } }) => ({ images, png: Buffer.from(png, 'base64') })),
    );
  const rows = groups.flatMap(([name, some]) =>
    some.map(({ network }, row) => ({ picture: `${name}.png`, row: row + 1, variant: network.variant })),
  );
  if (rows.length > 0) await bench.table('images', rows);
}

async function figures(bench: Bench, { sets }: Found): Promise<void> {
  await distanceFigures(bench, sets, {
    name: 'frechet',
    x: { name: 'sampling steps', of: ({ steps }) => steps },
    fixed: ({ sampler, network: { age, seed } }) => [slugOf(sampler), age, `seed-${seed}`],
    title: ({ sampler, network }) => `by steps, ${sampler}, after ${network.age} optimizer steps`,
  });
  await distanceFigures(bench, sets, {
    name: 'ages',
    x: { name: 'optimizer steps', of: ({ network }) => network.age },
    fixed: ({ sampler, steps, network: { seed } }) => [slugOf(sampler), steps, `seed-${seed}`],
    title: ({ sampler, steps }) => `by training, ${sampler}, ${steps} sampling steps`,
  });
}

type OneSet = Found['sets'][number];

/** What a kind of figure has along x, and what is the same for all of its points. */
interface FigureKind {
  readonly name: string;
  readonly x: { readonly name: string; readonly of: (one: OneSet) => number };
  readonly fixed: (one: OneSet) => readonly (string | number)[];
  readonly title: (one: OneSet) => string;
}

/** A figure for each group of sets in which some variant has at least two places along x. Sets of other sizes are never in one figure. */
async function distanceFigures(bench: Bench, sets: Found['sets'], kind: FigureKind): Promise<void> {
  const groups = grouped(sets, (one) => [one.network.images, ...kind.fixed(one), one.samples].join('-'));
  for (const [, some] of groups) {
    const [one] = some;
    const curves = curvesOf(some, kind.x.of);
    if (curves.length === 0) continue;
    const { images, seed } = one.network;
    const figure: Figure = {
      ...{ name: kind.name, title: `Frechet distance ${kind.title(one)}`, x: kind.x.name },
      ...{ y: 'Frechet distance of pixels', logarithmic: true, curves },
    };
    await bench.figure([kind.name, images, ...kind.fixed(one)].join('-'), figure, [
      `${images}, training seed ${seed}, ${one.samples} samples against the training images; bands are 95 % over samples.`,
    ]);
  }
}

/** Of the variants that have at least two places along x. */
function curvesOf(sets: Found['sets'], x: (one: OneSet) => number): Curve[] {
  return grouped(sets, ({ network }) => network.variant)
    .map(([name, some]) => ({
      name,
      points: some
        .map((one) => ({ x: x(one), ...intervalOf(one.set.training.frechet) }))
        .sort((one, other) => one.x - other.x),
    }))
    .filter(({ points }) => points.length > 1);
}
