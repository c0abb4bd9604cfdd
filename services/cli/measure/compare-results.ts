/** Results of several measurements side by side: one table and a picture for each number. */

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import * as z from 'zod';

import type { Curve, Figure, Finding, MeasureResult, NamedRow } from '../../../shared/exposure/index.js';
import { at, DiffusionError } from '../../../shared/foundation/index.js';
import {
  differencesOf,
  factsOf,
  type Difference,
  type MeasurementContract,
} from '../../../shared/measuring/index.js';
import { SAMPLERS } from '../../../shared/sampler/index.js';
import { RESULTS_FILE, writeResults } from './write-results.js';

/** A result that was written. */
export interface WrittenResult {
  /** As it was given. */
  readonly label: string;
  readonly contract: MeasurementContract;
  readonly results: readonly Pick<
    MeasureResult,
    'measure' | 'help' | 'findings' | 'settings' | 'level' | 'notes' | 'pictures'
  >[];
}

const MAX_BYTES = 256 * 1024 ** 2;

// JSON has null where a number is not finite.
const number = z
  .number()
  .nullable()
  .transform((value) => value ?? NaN);
const images = z.looseObject({ address: z.string(), images: z.number(), sha256: z.string() });
const schema = z.looseObject({
  contract: z.looseObject({
    kind: z.enum(['exposure', 'likelihood', 'quality']),
    model: z
      .looseObject({ name: z.string(), checkpointStep: z.number(), precision: z.string(), gamma: z.number() })
      .optional(),
    samples: images.optional(),
    sampler: z.looseObject({ sampler: z.enum(SAMPLERS as readonly [string, ...string[]]) }).optional(),
    steps: z.number(),
    images: z.number(),
    seed: z.string(),
    data: images,
    extractor: z.looseObject({ name: z.string(), sha256: z.string(), features: z.number() }).optional(),
    build: z.string(),
    seconds: z.number(),
  }),
  results: z.array(
    z.looseObject({
      measure: z.string(),
      help: z.string(),
      level: z.number(),
      settings: z.record(z.string(), z.number()),
      notes: z.array(z.string()),
      pictures: z
        .array(z.looseObject({ name: z.string(), images: z.number().int().positive(), png: z.base64() }))
        .optional(),
      findings: z.array(
        z.looseObject({
          name: z.string(),
          value: number,
          low: number,
          high: number,
          ideal: z.number().optional(),
        }),
      ),
    }),
  ),
});

/** @param path Of a `results.json`, or of the folder with it. @throws DiffusionError FILE_NOT_FOUND, FILE_NOT_USABLE. */
export async function readResult(path: string): Promise<WrittenResult> {
  try {
    const isFolder = (await stat(path)).isDirectory();
    const file = isFolder ? join(path, RESULTS_FILE) : path;
    const { size } = await stat(file);
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes`);
    const { contract, results } = schema.parse(JSON.parse(await readFile(file, 'utf8')));
    // What is looked at was checked; the rest is as it was written.
    return {
      label: path,
      contract: contract as unknown as MeasurementContract,
      results: results as WrittenResult['results'],
    };
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    if (isMissing)
      throw new DiffusionError('FILE_NOT_FOUND', `${path}: wanted a ${RESULTS_FILE}; got nothing`, { cause });
    throw new DiffusionError('FILE_NOT_USABLE', `${path}: wanted a ${RESULTS_FILE} of measure --out`, {
      cause,
    });
  }
}

/** What keeps the results out of one table: facts that must be equal, and settings of measures that both have. */
function obstacles(compared: readonly WrittenResult[]): Difference[] {
  const measures = new Set(compared.flatMap(({ results }) => results.map(({ measure }) => measure)));
  const ofSettings = [...measures].flatMap((measure) => {
    const values = compared.map(({ results }) => {
      const found = results.find((each) => each.measure === measure);
      return found === undefined ? undefined : textOf(found.settings);
    });
    const known = new Set(values.filter((value) => value !== undefined));
    if (known.size <= 1) return [];
    return [{ name: `settings of ${measure}`, values: values.map((value) => value ?? 'not measured') }];
  });
  return [...differencesOf(compared.map(({ contract }) => contract)), ...ofSettings];
}

/**
 * What differs between results that stand in one table.
 *
 * @param across What may differ, since it is what is compared.
 * @throws DiffusionError RESULTS_DIFFER for anything else.
 */
export function admittedDifferences(
  compared: readonly WrittenResult[],
  across: readonly string[],
): Difference[] {
  const found = obstacles(compared);
  const refused = found.filter(({ name }) => !across.includes(name));
  if (refused.length === 0) return found;
  const lines = refused.map(({ name, values }) => `${name}: ${values.join(' | ')}`);
  throw new DiffusionError(
    'RESULTS_DIFFER',
    `wanted results that can be compared in one table; got results that differ in ${lines.join('; ')}`,
    {
      metadata: {
        remedy: `to compare results that differ in this, add ${refused.map(({ name }) => `--across '${name}'`).join(' ')}`,
      },
    },
  );
}

/** Names of facts that are not the same for all. */
function differing(compared: readonly WrittenResult[]): ReadonlySet<string> {
  const all = compared.map(({ contract }) => new Map(factsOf(contract)));
  const names = new Set(all.flatMap((facts) => [...facts.keys()]));
  return new Set([...names].filter((name) => new Set(all.map((facts) => facts.get(name))).size > 1));
}

/** For each result a sentence with what it has of its own: its model, checkpoint, weights, cost, and what else differs. */
export function ownFacts(compared: readonly WrittenResult[]): string[] {
  const names = differing(compared);
  return compared.map(({ label, contract }) => {
    const own = factsOf(contract).filter(([name]) => names.has(name));
    return `${label}: ${own.map(([name, value]) => `${name} ${value}`).join(', ') || 'no facts of its own'}`;
  });
}

/** A page with the results side by side. @returns where it is. @throws as `writeResults`. */
export function writeComparison(
  title: string,
  folder: string,
  compared: readonly WrittenResult[],
  results: readonly MeasureResult[],
): Promise<string> {
  const { contract } = at(compared, 0);
  const shared = factsOf(contract).filter(([name]) => !differing(compared).has(name));
  return writeResults(title, folder, { results, contract: { ...contract, model: undefined } }, shared);
}

function textOf(settings: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([name, value]) => `${name} ${value}`).join(', ') || 'none';
}

/**
 * One result for each measure, with a figure for each of its numbers: by steps, a curve for each of what is compared, where
 * something was measured with several; else one place for each result. Images of the same seed stand one below the other.
 */
export function comparisonOf(compared: readonly WrittenResult[], notes: readonly string[]): MeasureResult[] {
  const first = at(compared, 0);
  const places = placesOf(compared);
  const names = new Map(
    compared.flatMap(({ results }) => results.map(({ measure, help }) => [measure, help] as const)),
  );
  return [...names].map(([measure, help]) => {
    const all = compared.map(({ results }) => results.find((each) => each.measure === measure));
    const findings = [...new Set(all.flatMap((result) => result?.findings.map(({ name }) => name) ?? []))];
    const valuesOf = (name: string): (Finding | undefined)[] =>
      all.map((result) => result?.findings.find((each) => each.name === name));
    const { images: count, seed, sampler = { sampler: 'ancestral' } } = first.contract;
    return {
      // A caption that named the steps of one of several would mislead.
      ...{
        measure,
        help,
        images: count,
        seed,
        sampler,
        steps: places === undefined ? first.contract.steps : 0,
      },
      ...{
        settings: all.find((result) => result !== undefined)?.settings ?? {},
        level: first.results[0]?.level ?? NaN,
      },
      notes: [...notes],
      findings: findings.flatMap((name) =>
        valuesOf(name).flatMap((found, i) =>
          found === undefined ? [] : [{ ...found, name: `${name}: ${at(compared, i).label}` }],
        ),
      ),
      figures: findings.map((name, i) => figureOf(name, i, valuesOf(name), compared, places)),
      pictures: rowsOf(all, compared),
    };
  });
}

/** The samples of each result, below the first reference. */
function rowsOf(
  results: readonly (WrittenResult['results'][number] | undefined)[],
  compared: readonly WrittenResult[],
): NamedRow[] {
  const named = (name: string) => results.map((result) => result?.pictures?.find((row) => row.name === name));
  const reference = named('reference').find((row) => row !== undefined);
  const samples = named('samples').flatMap((row, i) =>
    row === undefined ? [] : [{ ...row, name: at(compared, i).label }],
  );
  return [...(reference === undefined ? [] : [reference]), ...samples];
}

/** Where each result stands in a figure. */
interface Place {
  readonly curve: string;
  readonly x: number;
}

/** By steps, where something that is compared has several results and each of its own steps; else undefined. */
function placesOf(compared: readonly WrittenResult[]): Place[] | undefined {
  const places = compared.map(({ contract }) => ({ curve: subjectOf(contract), x: contract.steps }));
  const curves = new Set(places.map(({ curve }) => curve));
  const distinct = new Set(places.map(({ curve, x }) => JSON.stringify([curve, x])));
  const bySteps =
    curves.size < places.length && distinct.size === places.length && places.every(({ x }) => x > 0);
  return bySteps ? places : undefined;
}

/** What was measured, whatever the steps. */
export function subjectOf({ model, samples }: MeasurementContract): string {
  if (model === undefined) return samples?.address ?? 'unknown';
  return `${model.name}, step ${model.checkpointStep}`;
}

function figureOf(
  name: string,
  index: number,
  values: readonly (Finding | undefined)[],
  compared: readonly WrittenResult[],
  places: readonly Place[] | undefined,
): Figure {
  const points = values.flatMap((found, i) => {
    if (found === undefined) return [];
    const { value, low, high } = found;
    return [{ ...(places?.[i] ?? { curve: 'value', x: i + 1 }), value, low, high }];
  });
  const curves = [...new Set(points.map(({ curve }) => curve))].map((curve): Curve => ({
    name: curve,
    points: points
      .flatMap(({ curve: of, ...point }) => (of === curve ? [point] : []))
      .sort((a, b) => a.x - b.x),
  }));
  const ideal = values.find((found) => found !== undefined)?.ideal;
  return {
    ...{ name: `compared-${index + 1}`, title: name, y: name, x: places === undefined ? 'result' : 'steps' },
    ...(ideal !== undefined && { ideal }),
    curves,
    ...(places === undefined && {
      scatter: true as const,
      marks: compared.map(({ label }, i) => ({ x: i + 1, text: label })),
    }),
  };
}
