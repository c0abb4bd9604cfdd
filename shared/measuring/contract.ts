/** What a result is of: all that is needed to compare it with another one, and which of it must be equal. */

import { describeWeights } from '../checkpoint/index.js';
import type { Precision, WeightsChoice } from '../recipe/index.js';
import type { SamplerSettings } from '../sampler/index.js';
import type { MeasurementTask } from './task.js';

export interface MeasuredModel {
  readonly name: string;
  readonly checkpointStep: number;
  readonly manifestSha256: string;
  readonly weights: WeightsChoice;
  readonly weightsSha256: string;
  readonly variant: string;
  readonly gamma: number;
  readonly precision: Precision;
}

/** Images as they were found. */
export interface MeasuredImages {
  readonly address: string;
  /** 0 where only statistics are known. */
  readonly images: number;
  readonly sha256: string;
}

export interface MeasurementContract {
  readonly kind: MeasurementTask['kind'];
  /** Undefined where images were given. */
  readonly model?: MeasuredModel | undefined;
  /** The images that were given. */
  readonly samples?: MeasuredImages | undefined;
  /** Undefined where nothing was sampled. */
  readonly sampler?: SamplerSettings | undefined;
  /** Visited timesteps; 0 where there are none. */
  readonly steps: number;
  readonly images: number;
  readonly seed: string;
  /** The real images; for quality, the reference. */
  readonly data: MeasuredImages;
  readonly extractor?:
    { readonly name: string; readonly sha256: string; readonly features: number } | undefined;
  readonly build: string;
  /** Wall time of the measurement. */
  readonly seconds: number;
}

interface Row {
  readonly name: string;
  /** As people read it; undefined where the contract has none. */
  readonly text: (contract: MeasurementContract) => string | undefined;
  /** Of what must be equal in results that stand in one table, as a text that is equal where it is. */
  readonly equal?: (contract: MeasurementContract) => string | undefined;
}

const ROWS: readonly Row[] = [
  { name: 'measurement', ...same(({ kind }) => kind) },
  { name: 'model', text: ({ model }) => model?.name },
  { name: 'checkpoint', text: ({ model }) => model && `step ${model.checkpointStep.toLocaleString('en')}` },
  {
    name: 'weights',
    text: ({ model }) => model && `${describeWeights(model.weights)}, SHA-256 ${model.weightsSha256}`,
  },
  { name: 'manifest', text: ({ model }) => model && `SHA-256 ${model.manifestSha256}` },
  { name: 'trained with', text: ({ model }) => model && `${model.variant}, gamma ${model.gamma}` },
  { name: 'samples', text: ({ samples }) => samples && describeImages(samples) },
  { name: 'precision', ...same(({ model }) => model?.precision) },
  { name: 'sampler', ...same(({ sampler }) => sampler && describeSampler(sampler)) },
  { name: 'steps', ...same(({ steps }) => (steps === 0 ? undefined : String(steps))) },
  { name: 'n', ...same(({ images }) => String(images)) },
  { name: 'seed', ...same(({ seed }) => seed) },
  { name: 'images', text: ({ data }) => describeImages(data), equal: ({ data }) => data.sha256 },
  {
    name: 'extractor',
    text: ({ extractor: of }) => of && `${of.name}, ${of.features} features, SHA-256 ${of.sha256}`,
    equal: ({ extractor }) => extractor?.sha256,
  },
  { name: 'build', text: ({ build }) => build },
  { name: 'cost', text: ({ seconds }) => `${seconds.toFixed(1)} s` },
];

/** Names of what must be equal, in the order of the facts. */
export const EQUAL_FACTS: readonly string[] = ROWS.flatMap(({ name, equal }) => (equal ? [name] : []));

/** Everything, each with its name, for people. */
export function factsOf(contract: MeasurementContract): (readonly [name: string, value: string])[] {
  return ROWS.flatMap(({ name, text }) => {
    const value = text(contract);
    return value === undefined ? [] : [[name, value] as const];
  });
}

/** A fact that differs between results, with what each has. */
export interface Difference {
  readonly name: string;
  readonly values: readonly string[];
}

/** Which facts differ that must be equal where results stand in one table. */
export function differencesOf(contracts: readonly MeasurementContract[]): Difference[] {
  return ROWS.flatMap(({ name, text, equal }) => {
    if (equal === undefined || new Set(contracts.map(equal)).size <= 1) return [];
    return [{ name, values: contracts.map((contract) => text(contract) ?? 'none') }];
  });
}

function same(text: Row['text']): Pick<Row, 'text' | 'equal'> {
  return { text, equal: text };
}

function describeImages({ address, images, sha256 }: MeasuredImages): string {
  const count = images === 0 ? 'statistics only' : `${images.toLocaleString('en')} images`;
  return `${address}, ${count}, SHA-256 ${sha256}`;
}

/** Without the steps, which are a fact of their own. */
function describeSampler({ sampler, ...others }: SamplerSettings): string {
  const settings = Object.entries<unknown>(others)
    .filter(([name, value]) => name !== 'steps' && value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [sampler, ...settings].join(', ');
}
