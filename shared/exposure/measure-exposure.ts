/** Runs measures on a model: those that look at trajectories share one set of them. */
import {
  at,
  invalidArgument,
  isInteger,
  mapInOrder,
  throwIfAborted,
  unmet,
  within,
  type FieldViolation,
} from '../foundation/index.js';
import { imageRow, imagesInRow, toUint8, type ImageShape } from '../images/index.js';
import { samplerPlan, type SamplerSettings } from '../sampler/index.js';
import { indicesUpTo } from './indices.js';
import type { Measure, TrajectoryMeasure, TrajectoryPass } from './measure.js';
import { MEASURES } from './measures.js';
import { namedRow, type MeasureResult, type NamedRow, type Outcome } from './result.js';
import type { ImageSet, MeasuredModel, Setup } from './setup.js';
import { walk, type Level } from './trajectory.js';

export interface MeasureRequest {
  readonly model: MeasuredModel;
  readonly data: ImageSet;
  readonly sampler: SamplerSettings;
  readonly images: number;
  readonly seed: bigint;
  /** By name; all where absent. */
  readonly measures?: readonly string[];
  /** By measure, settings that aren't the default. */
  readonly settings?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly resamples?: number;
  readonly level?: number;
  /** Whether the first result of a measure that looks at trajectories has pictures of their first images. */
  readonly pictures?: boolean;
  /** Images in work at once; default 16. */
  readonly width?: number;
  readonly signal?: AbortSignal;
  /** Called with the measures that are at work and their images that are done. */
  readonly onProgress?: (progress: MeasureProgress) => void;
}

export interface MeasureProgress {
  readonly measures: readonly string[];
  readonly done: number;
  readonly total: number;
}

/** Fewer say nothing of a spread. */
export const LEAST_IMAGES = 8;
const MOST_IMAGES = 1_000_000;
const DEFAULT_WIDTH = 16;
const DEFAULT_LEVEL = 0.95;

/**
 * The results in the order of the table of measures.
 *
 * @throws INVALID_ARGUMENT naming `images`, `measures[i]`, `settings.<measure>.<setting>`, or fields of `sampler`; what
 * the solver throws; the signal's reason.
 */
export async function measureExposure(request: MeasureRequest): Promise<MeasureResult[]> {
  const { sampler, images, seed, width = DEFAULT_WIDTH, signal, level = DEFAULT_LEVEL } = request;
  const chosen = chosenMeasures(request);
  const setup: Setup = {
    ...{ model: request.model, data: request.data, sampler, images, seed, width, signal },
    plan: planOf(request),
    bootstrap: { seed, level, ...(request.resamples !== undefined && { resamples: request.resamples }) },
    progress: () => undefined,
  };
  const outcomes = new Map<Measure, Outcome & Pick<MeasureResult, 'pictures'>>();
  const reporting = (names: readonly string[]): Setup => ({
    ...setup,
    progress: (done, total) => request.onProgress?.({ measures: names, done, total }),
  });

  const looking = chosen.flatMap(({ measure, values }) => ('start' in measure ? [{ measure, values }] : []));
  if (looking.length > 0) {
    const samples: Float32Array[] = [];
    const shown = request.pictures === true ? imagesInRow(shapeOf(setup)) : 0;
    const found = await overTrajectories(
      reporting(looking.map(({ measure }) => measure.name)),
      looking,
      (sample, index) => {
        if (index < shown) samples.push(sample);
      },
    );
    const pictures = samples.length === 0 ? undefined : [await rowOf(samples, setup)];
    looking.forEach(({ measure }, i) =>
      outcomes.set(measure, { ...at(found, i), ...(i === 0 && pictures !== undefined && { pictures }) }),
    );
  }
  for (const { measure, values } of chosen) {
    throwIfAborted(signal, 'measuring');
    if ('run' in measure) outcomes.set(measure, await measure.run(reporting([measure.name]), values));
  }
  return chosen.flatMap(({ measure, values }): MeasureResult[] => {
    const outcome = outcomes.get(measure);
    if (outcome === undefined) return [];
    const { steps } = setup.plan;
    const context = { images, seed: seed.toString(), steps, sampler, settings: values, level };
    return [{ measure: measure.name, help: measure.help, ...context, ...outcome }];
  });
}

const shapeOf = ({ model: { imageSize, contract } }: Setup): ImageShape => ({
  ...{ width: imageSize, height: imageSize },
  channels: contract.channels === 1 ? 1 : 3,
});

async function rowOf(samples: readonly Float32Array[], setup: Setup): Promise<NamedRow> {
  return namedRow('samples', await imageRow(samples.map(toUint8), shapeOf(setup)));
}

/** @param onSample Called in the order of the images. */
async function overTrajectories(
  setup: Setup,
  measures: readonly { readonly measure: TrajectoryMeasure; readonly values: Chosen['values'] }[],
  onSample: (sample: Float32Array, index: number) => void,
): Promise<Outcome[]> {
  const passes: TrajectoryPass[] = measures.map(({ measure, values }) => measure.start(setup, values));
  const withEpsilons = measures.some(({ measure }) => measure.epsilons === true);
  const { data, images } = setup;

  async function one(index: number): Promise<readonly (() => void)[]> {
    const [xStart, other] = await Promise.all([data.image(index), data.image(images + index)]);
    const looking = passes.map((pass) => pass.image(xStart, other));
    const onLevel = (level: Level): void => {
      for (const each of looking) each.level(level);
    };
    const sample = await walk(setup, index, { xStart, other }, withEpsilons, onLevel);
    const additions = looking.map((each) => each.end(sample));
    return [
      ...additions,
      () => {
        onSample(sample, index);
      },
    ];
  }

  let done = 0;
  for await (const additions of mapInOrder(indicesUpTo(images), setup.width, one)) {
    for (const add of additions) add();
    setup.progress(++done, images);
  }
  return passes.map((pass) => pass.finish());
}

function planOf({ sampler, model }: MeasureRequest): Setup['plan'] {
  return samplerPlan(sampler, model.contract);
}

interface Chosen {
  readonly measure: Measure;
  readonly values: Readonly<Record<string, number>>;
}

function chosenMeasures(request: MeasureRequest): Chosen[] {
  const { images, data } = request;
  const most = Math.min(Math.floor(data.length / 2), MOST_IMAGES);
  const ofImages = unmet((demand) => {
    const wanted =
      most < LEAST_IMAGES
        ? `a data set of ${2 * LEAST_IMAGES} images or more`
        : `an integer from ${LEAST_IMAGES} to ${most}: half of the ${data.length} images are compared with the other half`;
    demand(
      isInteger(images, LEAST_IMAGES, most),
      'images',
      wanted,
      most < LEAST_IMAGES ? data.length : images,
    );
  });
  const { chosen, violations } = measuresOf(request);
  if (ofImages.length > 0 || violations.length > 0) throw invalidArgument([...ofImages, ...violations]);
  return chosen;
}

/** The measures that a request means, with a value for each of their settings; what is wrong with it, by its fields. */
export function measuresOf({ measures, settings = {} }: Pick<MeasureRequest, 'measures' | 'settings'>): {
  readonly chosen: Chosen[];
  readonly violations: readonly FieldViolation[];
} {
  const found: FieldViolation[] = unmet((demand) => {
    const names = MEASURES.map(({ name }) => name);
    for (const [i, name] of (measures ?? []).entries())
      demand(names.includes(name), `measures[${i}]`, `one of ${names.join(', ')}`, name);
    for (const name of Object.keys(settings))
      demand(names.includes(name), `settings.${name}`, `a measure: one of ${names.join(', ')}`, name);
  });
  const chosen = MEASURES.filter(({ name }) => measures?.includes(name) ?? true).map((measure) => {
    const { values, violations } = valuesOf(measure, settings[measure.name] ?? {});
    found.push(...within(`settings.${measure.name}`, violations));
    return { measure, values };
  });
  return { chosen, violations: found };
}

function valuesOf(
  { settings }: Measure,
  given: Readonly<Record<string, number>>,
): { values: Record<string, number>; violations: FieldViolation[] } {
  const values = Object.fromEntries(
    Object.entries(settings).map(([name, setting]) => [name, given[name] ?? setting.default]),
  );
  const names = Object.keys(settings);
  const violations = unmet((demand) => {
    for (const name of Object.keys(given))
      demand(names.includes(name), name, `a setting: one of ${names.join(', ') || '(none)'}`, given[name]);
    for (const [name, { kind }] of Object.entries(settings))
      demand(kind.accept(values[name]) !== undefined, name, kind.wanted, values[name]);
  });
  return { values, violations };
}
