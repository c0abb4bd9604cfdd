/** A good request and a checkpoint -> everything that a generation does, settled. */

import { averageOf, averageRates, type ManifestObject } from '../../shared/checkpoint/index.js';
import {
  DiffusionError,
  invalidArgument,
  violation,
  type FieldViolation,
  within,
} from '../../shared/foundation/index.js';
import type { ImageShape } from '../../shared/images/index.js';
import { recipeProcess, type Precision, type TrainingRecipe } from '../../shared/recipe/index.js';
import {
  remainingEvaluations,
  samplerPlan,
  type SamplerPlan,
  type SamplerSettings,
} from '../../shared/sampler/index.js';
import type { GenerateRequest, OutputFormat, Telling } from './generate-request.js';
import { imageTasks, type TaskAt } from './image-tasks.js';
import type { Checkpoint } from './model-catalogue.js';
import { MAX_RESUMABLE_VALUES, type Resumable, type ResumePoint } from './resume-token.js';

/** The images of one call. */
export interface ImageSeries {
  readonly count: number;
  /** The first image's; where it isn't the last one's, images lie between both. */
  readonly seed: bigint;
  readonly plan: SamplerPlan;
  readonly shape: ImageShape;
  readonly format: OutputFormat;
  readonly telling: Telling;
  readonly taskAt: TaskAt;
  /** Steps to do, over all images. */
  readonly stepsTotal: number;
  /** Rows of the network to compute, over all images. */
  readonly evaluations: number;
  readonly resumable: Resumable;
}

export interface Generation {
  readonly checkpoint: Checkpoint;
  readonly emaRate: number;
  /** The object with this average of the weights. */
  readonly weights: ManifestObject;
  /** As resolved, but for `respacing`, which stays as it was asked for. */
  readonly settings: SamplerSettings;
  readonly precision: Precision;
  readonly firstIndex: number;
  readonly series: ImageSeries;
}

/**
 * @throws DiffusionError INVALID_ARGUMENT that names every refused field, DATA_LOSS for a manifest without weights,
 * FAILED_PRECONDITION (reason RESUME_TOKEN_STALE) for images that other weights began.
 */
export async function resolveGeneration(
  request: GenerateRequest,
  checkpoint: Checkpoint,
): Promise<Generation> {
  const { manifest } = checkpoint;
  const { recipe } = manifest;
  const { seed, firstIndex, format, precision, resumed, telling } = request;
  const emaRates = averageRates(manifest);
  const emaRate = request.emaRate ?? Math.max(...emaRates);
  const [plan, planViolations] = planOrViolations(request, recipe);
  const { imageSize, channels } = recipe.dataset;
  const shape = { width: imageSize, height: imageSize, channels };
  const violations = [
    ...emaRateViolations(emaRate, emaRates),
    ...planViolations,
    ...classViolations(request.classes, recipe.architecture.numClasses),
    ...guidanceViolations(request, recipe),
    ...(plan === undefined ? [] : stepViolations(request, plan, shape)),
  ];
  if (plan === undefined || violations.length > 0) throw invalidArgument(violations);
  const weights = averageOf(manifest, emaRate);
  refuseStale(resumed, weights);
  const fresh = await imageTasks(request, shape);
  const { respacing, ...settings } = request.settings;
  const { sampler, eta, clipDenoised, steps } = plan;
  return {
    checkpoint,
    emaRate,
    weights,
    settings: {
      ...settings,
      ...{ sampler, eta, clipDenoised },
      ...(respacing === undefined ? { steps, spacing: settings.spacing ?? 'even' } : { respacing }),
    },
    precision,
    firstIndex,
    series: {
      count: resumed?.length ?? request.count,
      seed,
      plan,
      shape,
      format,
      telling,
      taskAt: resumed === undefined ? fresh : resumedTasks(fresh, resumed, request),
      stepsTotal: sumOf(stepsBehind(request), (behind) => steps - behind),
      evaluations: sumOf(stepsBehind(request), (behind) => remainingEvaluations(plan, behind)),
      resumable: { request: pinned(request, checkpoint, emaRate), weightsSha256: weights.sha256 },
    },
  };
}

type PlanOrViolations = [plan: SamplerPlan, none: []] | [none: undefined, violations: FieldViolation[]];

function planOrViolations({ settings }: GenerateRequest, recipe: TrainingRecipe): PlanOrViolations {
  const { meanType, varianceType } = recipe.objective;
  try {
    return [
      samplerPlan(settings, {
        ...recipeProcess(recipe),
        meanType,
        varianceType,
        channels: recipe.dataset.channels,
      }),
      [],
    ];
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'INVALID_ARGUMENT') throw error;
    return [undefined, within('settings', error.violations)];
  }
}

function emaRateViolations(rate: number, rates: readonly number[]): FieldViolation[] {
  return rates.includes(rate) ? [] : [violation('ema_rate', `one of ${rates.join(', ')}`, rate)];
}

function classViolations(classes: readonly number[], numClasses: number): FieldViolation[] {
  if (numClasses === 0) {
    return classes.length === 0 ? [] : [violation('classes', 'none, as the model has no classes', classes)];
  }
  if (classes.length === 0) return [violation('classes', `classes from 0 to ${numClasses - 1}`, undefined)];
  return classes.flatMap((y, i) =>
    y < numClasses ? [] : [violation(`classes[${i}]`, `an integer from 0 to ${numClasses - 1}`, y)],
  );
}

/** A network that never went without classes has nothing to say without. */
function guidanceViolations({ settings }: GenerateRequest, recipe: TrainingRecipe): FieldViolation[] {
  const { guidanceScale = 1 } = settings;
  if (guidanceScale === 1 || recipe.training.labelDropout > 0) return [];
  const why = recipe.architecture.numClasses === 0 ? 'has no classes' : 'was trained without label dropout';
  return [violation('settings.guidance_scale', `1 or nothing, as the model ${why}`, guidanceScale)];
}

function stepViolations(
  { start, telling, resumed, firstIndex, count }: GenerateRequest,
  { steps }: SamplerPlan,
  { width, height, channels }: ImageShape,
): FieldViolation[] {
  const found: FieldViolation[] = [];
  if (start?.kind === 'image' && start.skippedSteps >= steps) {
    found.push(violation('start.skipped_steps', `an integer from 0 to ${steps - 1}`, start.skippedSteps));
  }
  const values = width * height * channels;
  if (telling.resumeTokenEverySteps > 0 && values > MAX_RESUMABLE_VALUES) {
    const wanted = `0 for images of more than ${MAX_RESUMABLE_VALUES} values`;
    found.push(violation('resume_token_every_steps', wanted, telling.resumeTokenEverySteps));
  }
  for (const [i, { index, state }] of (resumed ?? []).entries()) {
    const fits =
      state.stepsDone >= 1 &&
      state.stepsDone < steps &&
      index >= firstIndex &&
      index < firstIndex + count &&
      [state.x, ...state.history].every((of) => of.length === values && of.every(Number.isFinite));
    if (!fits) found.push(violation(`resume_tokens[${i}]`, 'the state of an image of its call', 'another'));
  }
  return found;
}

function refuseStale(resumed: readonly ResumePoint[] | undefined, { sha256 }: ManifestObject): void {
  if (resumed === undefined || resumed.every(({ weightsSha256 }) => weightsSha256 === sha256)) return;
  const text = `wanted the weights that began the images, ${resumed[0]?.weightsSha256 ?? ''}; got ${sha256}`;
  throw new DiffusionError('RESUME_TOKEN_STALE', text);
}

function resumedTasks(
  fresh: TaskAt,
  resumed: readonly ResumePoint[],
  { firstIndex, start }: GenerateRequest,
): TaskAt {
  return (place) => {
    const { index, state } = resumed[place] as ResumePoint;
    const { options } = fresh(index - firstIndex);
    // Where it started from is in its state; how far is still asked.
    const began = start?.kind === 'image' && { start: { ...start, xStart: state.x } };
    return { index, options: { ...options, ...began, resume: state } };
  };
}

/** What each image of the call has behind it when it begins. */
function stepsBehind({ count, start, resumed }: GenerateRequest): number[] {
  if (resumed !== undefined) return resumed.map(({ state }) => state.stepsDone);
  return Array.from({ length: count }, () => (start?.kind === 'image' ? start.skippedSteps : 0));
}

/** The request as another call is to go on with: the same weights, and without the start, which the states hold. */
function pinned({ wire }: GenerateRequest, { commit }: Checkpoint, emaRate: number): Resumable['request'] {
  const start = wire.start && { ...wire.start, images: [], latents: [] };
  return { ...wire, version: BigInt(commit.step), emaRate, start };
}

function sumOf(values: readonly number[], term: (value: number) => number): number {
  return values.reduce((sum, value) => sum + term(value), 0);
}
