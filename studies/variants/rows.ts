/** What rows of the result tables are made of. */
import { at } from '../../shared/foundation/index.js';
import { centred, percentileInterval, type Estimate } from '../../shared/statistics/index.js';
import { change } from '../cases.js';
import type { Resampled } from '../small-networks/samples.js';
import type { Row } from '../study.js';
import type { SampledCase } from './sets.js';

const LEVEL = 0.95;

/** Distances are `centred`. */
export function intervalOf(of: Resampled): Estimate {
  return percentileInterval(of.value, centred(of.value, of.resamples), LEVEL);
}

/** In percent; both sides of a resample count the same samples. */
export function pairedChange(one: Resampled, base: Resampled): Estimate {
  const resampled = centred(one.value, one.resamples);
  const baseResampled = centred(base.value, base.resamples);
  const changes = resampled.map((value, b) => change(value, at(baseResampled, b)));
  return percentileInterval(change(one.value, base.value), changes, LEVEL);
}

export function described({ network, sampler, steps }: SampledCase) {
  const { images, variant, seed, age } = network;
  return { images, variant, seed, age, sampler, steps };
}

export function estimated(name: string, { value, low, high }: Estimate): Row {
  return { [name]: shown(value), [`${name} low`]: shown(low), [`${name} high`]: shown(high) };
}
export const shown = (value: number): number => Number(value.toPrecision(4));

export function joined(rows: readonly Row[]): Row {
  return Object.fromEntries(rows.flatMap((row) => Object.entries(row)));
}

/** By key, in the order of first appearance. */
export function grouped<T>(items: readonly T[], keyOf: (item: T) => string): [string, [T, ...T[]]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return [...groups];
}
