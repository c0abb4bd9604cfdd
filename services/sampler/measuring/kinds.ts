/** The table of what can be measured: how each kind is checked, and what it costs. */

import { LEAST_IMAGES, measuresOf } from '../../../shared/exposure/index.js';
import {
  describeValue,
  DiffusionError,
  isInteger,
  unmet,
  violation,
  within,
  type FieldViolation,
} from '../../../shared/foundation/index.js';
import {
  contractOf,
  type ExposureTask,
  type LikelihoodTask,
  type MeasurementTask,
  type QualityTask,
} from '../../../shared/measuring/index.js';
import { MEASURE_NAMES } from '../../../shared/quality/index.js';
import type { TrainingRecipe } from '../../../shared/recipe/index.js';
import { samplerPlan, type SamplerSettings } from '../../../shared/sampler/index.js';
import { guidanceViolations } from '../resolve-generation.js';

/** A task that fits a checkpoint, with every setting as resolved. */
export interface ResolvedTask {
  readonly task: MeasurementTask;
  /** Evaluations of the network for each image, about. */
  readonly evaluations: number;
}

type Resolved = ResolvedTask | { readonly violations: readonly FieldViolation[] };

interface MeasurementKind<Task extends MeasurementTask> {
  readonly leastImages: number;
  /** What is wrong with it, by fields of its message. */
  readonly resolve: (task: Task, recipe: TrainingRecipe) => Resolved;
}

const MIN_RESAMPLES = 20;
const MAX_RESAMPLES = 10_000;
/** Of a curve's points in one figure, which is one message. */
const MAX_POINTS = 100_000;

/** Far more than there are: each is looked at. */
const MAX_LISTED = 100;

/** A list that is not looked at, as it is too long. */
function tooLong(measures: readonly string[], settings: readonly object[]): FieldViolation | undefined {
  const most = settings.reduce<number>(
    (sum, each) => Math.max(sum, Object.keys(each).length),
    measures.length,
  );
  if (most <= MAX_LISTED) return undefined;
  return violation('measures', `at most ${MAX_LISTED} measures, and as many settings of each`, most);
}

const exposure: MeasurementKind<ExposureTask> = {
  leastImages: LEAST_IMAGES,
  resolve: (task, recipe) => {
    const { measures = [], settings: given = {}, resamples = 200 } = task;
    const long = tooLong(measures, Object.values(given));
    if (long !== undefined) return { violations: [long] };
    const { chosen, violations } = measuresOf(task);
    const of = sampled(task.sampler, recipe);
    const found = [
      ...violations.map((each) => ofMeasure(each, measures)),
      ...of.violations,
      ...unmet((demand) => {
        const wanted = `0, or an integer from ${MIN_RESAMPLES} to ${MAX_RESAMPLES}`;
        demand(isInteger(resamples, MIN_RESAMPLES, MAX_RESAMPLES), 'resamples', wanted, resamples);
        for (const [i, name] of measures.entries())
          demand(measures.indexOf(name) === i, `measures[${i}].name`, 'each measure once', name);
      }),
    ];
    if (of.plan === undefined || found.length > 0) return { violations: found };
    const { steps, evaluations } = of.plan;
    const settings = Object.fromEntries(chosen.map(({ measure, values }) => [measure.name, values]));
    const bands = settings['energy_ratio']?.['bands'] ?? 0;
    if (bands * steps > MAX_POINTS) {
      const wanted = `at most ${Math.floor(MAX_POINTS / steps)} bands with ${steps} steps`;
      return { violations: [violation('measures', wanted, bands)] };
    }
    const names = chosen.map(({ measure }) => measure.name);
    return {
      task: { kind: 'exposure', sampler: of.plan.sampler, measures: names, settings, resamples },
      evaluations,
    };
  },
};

const likelihood: MeasurementKind<LikelihoodTask> = {
  leastImages: 1,
  resolve: (task, recipe) => {
    const { steps } = task;
    const all = contractOf(recipe).betas.length;
    const previous = recipe.objective.meanType === 'previous_x';
    const violations = unmet((demand) => {
      if (steps === undefined) return;
      demand(isInteger(steps, 2, all), 'steps', `an integer from 2 to ${all}`, steps);
      demand(!previous, 'steps', 'no value for a network that predicts x_{t-1}', steps);
    });
    if (violations.length > 0) return { violations };
    // All of them keep the trained process, whose bound is another one than that of as many visited steps.
    return { task, evaluations: steps ?? all };
  },
};

const MAX_EXTRACTOR = 4096;

const quality: MeasurementKind<QualityTask> = {
  leastImages: 2,
  resolve: (task, recipe) => {
    const { extractor, measures = [] } = task;
    const long = tooLong(measures, []);
    if (long !== undefined) return { violations: [long] };
    const of = sampled(task.sampler, recipe);
    const found = [
      ...of.violations,
      ...unmet((demand) => {
        const names = `one of ${MEASURE_NAMES.join(', ')}`;
        for (const [i, name] of measures.entries())
          demand(MEASURE_NAMES.includes(name), `measures[${i}]`, names, name);
        demand(
          extractor.length <= MAX_EXTRACTOR,
          'extractor',
          `at most ${MAX_EXTRACTOR} characters`,
          `${extractor.length} characters`,
        );
      }),
    ];
    if (of.plan === undefined || found.length > 0) return { violations: found };
    const chosen = MEASURE_NAMES.filter((name) => measures.length === 0 || measures.includes(name));
    return {
      task: { ...task, sampler: of.plan.sampler, measures: chosen },
      evaluations: of.plan.evaluations,
    };
  },
};

const KINDS: {
  readonly [K in MeasurementTask['kind']]: MeasurementKind<Extract<MeasurementTask, { kind: K }>>;
} = {
  exposure,
  likelihood,
  quality,
};

export function leastImages({ kind }: MeasurementTask): number {
  return KINDS[kind].leastImages;
}

/** The task with every setting; or what is wrong with it, by fields of the message of its kind. */
export function resolveTask(task: MeasurementTask, recipe: TrainingRecipe): Resolved {
  const kind = KINDS[task.kind] as unknown as MeasurementKind<MeasurementTask>;
  return kind.resolve(task, recipe);
}

interface Plan {
  /** With the steps that were resolved. */
  readonly sampler: SamplerSettings;
  readonly steps: number;
  readonly evaluations: number;
}

function sampled(
  settings: SamplerSettings,
  recipe: TrainingRecipe,
): { readonly plan: Plan | undefined; readonly violations: readonly FieldViolation[] } {
  try {
    const plan = samplerPlan(settings, contractOf(recipe));
    const { respacing, ...others } = settings;
    const { eta, clipDenoised, steps, evaluations } = plan;
    const visited =
      respacing === undefined ? { steps, spacing: settings.spacing ?? ('even' as const) } : { respacing };
    return {
      plan: { sampler: { ...others, eta, clipDenoised, ...visited }, steps, evaluations },
      violations: guidanceViolations({ settings }, recipe),
    };
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'INVALID_ARGUMENT') throw error;
    return { plan: undefined, violations: within('settings', error.violations) };
  }
}

/** A violation of the exposure room, under the field that the message has for it. */
function ofMeasure({ field, description }: FieldViolation, names: readonly string[]): FieldViolation {
  if (field.startsWith('measures[')) return { field: `${field}.name`, description };
  const [, name = '', setting] = field.split('.');
  const path = `measures[${Math.max(0, names.indexOf(name))}].settings`;
  return {
    field: path,
    description: setting === undefined ? description : `${describeValue(setting)}: ${description}`,
  };
}
