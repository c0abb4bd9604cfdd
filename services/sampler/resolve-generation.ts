/** A good request and a checkpoint -> everything that a generation does, settled. */

import type { ManifestObject } from '../../shared/checkpoint/index.js';
import type { OutputFormat } from '../../shared/contract/index.js';
import {
  DiffusionError,
  invalidArgument,
  violation,
  type FieldViolation,
  within,
} from '../../shared/foundation/index.js';
import type { ImageShape } from '../../shared/images/index.js';
import { chooseWeights, type Checkpoint, type ChosenWeights } from '../../shared/models/index.js';
import {
  recipeProcess,
  type Precision,
  type TrainingRecipe,
  type WeightsChoice,
} from '../../shared/recipe/index.js';
import {
  remainingEvaluations,
  samplerPlan,
  type SamplerPlan,
  type SamplerSettings,
} from '../../shared/sampler/index.js';
import { refusal, type Reports, type SampleRequest } from './sample-request.js';
import type { TaskAt } from './image-tasks.js';
import { MAX_RESUMABLE_VALUES, type Resumable, type ResumePoint } from './resume-token.js';

/** The images of one call, but for what they start from. */
export interface SeriesPlan {
  readonly count: number;
  /** The first image's; where it isn't the last one's, images lie between both. */
  readonly seed: bigint;
  readonly task: SampleRequest['task'];
  readonly plan: SamplerPlan;
  readonly shape: ImageShape;
  readonly format: OutputFormat;
  readonly reports: Reports;
  /** Steps to do, over all images. */
  readonly stepsTotal: number;
  /** Rows of the network to compute, over all images. */
  readonly evaluations: number;
  readonly resumable: Resumable;
}

/** The images of one call. */
export interface ImageSeries extends SeriesPlan {
  readonly taskAt: TaskAt;
}

export interface Generation {
  readonly checkpoint: Checkpoint;
  readonly weights: WeightsChoice;
  /** The object with these weights. */
  readonly object: ManifestObject;
  /** As resolved, but for `respacing`, which stays as it was asked for. */
  readonly settings: SamplerSettings;
  readonly precision: Precision;
  readonly firstIndex: number;
  readonly series: SeriesPlan;
}

/**
 * @throws DiffusionError INVALID_ARGUMENT that names every refused field, DATA_LOSS for a manifest without weights,
 * FAILED_PRECONDITION (reason RESUME_TOKEN_STALE) for images that other weights began.
 */
export function resolveGeneration(request: SampleRequest, checkpoint: Checkpoint): Generation {
  const { manifest } = checkpoint;
  const { recipe } = manifest;
  const { seed, firstIndex, format, precision, resumed, reports } = request;
  const [chosen, weightsViolations] = weightsOrViolations(request, checkpoint);
  const [plan, planViolations] = planOrViolations(request, recipe);
  const { imageSize, channels } = recipe.dataset;
  const shape = { width: imageSize, height: imageSize, channels };
  const violations = [
    ...weightsViolations,
    ...planViolations,
    ...classViolations(request.classes, recipe.architecture.numClasses),
    ...guidanceViolations(request, recipe),
    ...(plan === undefined ? [] : stepViolations(request, plan)),
  ];
  if (plan === undefined || chosen === undefined || violations.length > 0) throw refusal(request, violations);
  const ofCall = callViolations(request, plan, shape);
  if (ofCall.length > 0) throw invalidArgument(ofCall);
  const { weights, object } = chosen;
  refuseStale(resumed, object);
  const { respacing, ...settings } = request.settings;
  const { eta, clipDenoised, steps } = plan;
  return {
    checkpoint,
    weights,
    object,
    settings: {
      ...settings,
      ...{ eta, clipDenoised },
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
      reports,
      task: request.task,
      stepsTotal: sumOf(stepsBehind(request), (behind) => steps - behind),
      evaluations: sumOf(stepsBehind(request), (behind) => remainingEvaluations(plan, behind)),
      resumable: {
        requestSha256: request.requestSha256,
        checkpointStep: checkpoint.commit.step,
        weights,
        weightsSha256: object.sha256,
      },
    },
  };
}

type PlanOrViolations = [plan: SamplerPlan, none: []] | [none: undefined, violations: FieldViolation[]];

function planOrViolations({ settings }: SampleRequest, recipe: TrainingRecipe): PlanOrViolations {
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

type WeightsOrViolations =
  [chosen: ChosenWeights, none: []] | [none: undefined, violations: readonly FieldViolation[]];

function weightsOrViolations({ weights }: SampleRequest, { manifest }: Checkpoint): WeightsOrViolations {
  try {
    return [chooseWeights(manifest, weights, 'weights'), []];
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'INVALID_ARGUMENT') throw error;
    return [undefined, error.violations];
  }
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

/** A network that was never trained without classes can not predict without one. */
export function guidanceViolations(
  { settings }: Pick<SampleRequest, 'settings'>,
  recipe: TrainingRecipe,
): FieldViolation[] {
  const { guidanceScale = 1 } = settings;
  if (guidanceScale === 1 || recipe.training.labelDropout > 0) return [];
  const why = recipe.architecture.numClasses === 0 ? 'has no classes' : 'was trained without label dropout';
  return [violation('settings.guidance_scale', `1 or nothing, as the model ${why}`, guidanceScale)];
}

function stepViolations({ start }: SampleRequest, { steps }: SamplerPlan): FieldViolation[] {
  if (start?.kind !== 'image' || start.skippedSteps < steps) return [];
  return [violation('start_images.skipped_steps', `an integer from 0 to ${steps - 1}`, start.skippedSteps)];
}

/** Violations of the resume tokens, and of how often they are asked for. */
function callViolations(
  { reports, resumed, firstIndex, count }: SampleRequest,
  { steps }: SamplerPlan,
  { width, height, channels }: ImageShape,
): FieldViolation[] {
  const values = width * height * channels;
  const found = (resumed ?? []).flatMap(({ index, state }, i) => {
    const fits =
      state.stepsDone >= 1 &&
      state.stepsDone < steps &&
      index >= firstIndex &&
      index < firstIndex + count &&
      [state.x, ...state.history].every((of) => of.length === values && of.every(Number.isFinite));
    return fits
      ? []
      : [
          violation(
            `resumed_images.tokens[${i}]`,
            'a state that fits the image of this request',
            'one that does not fit',
          ),
        ];
  });
  if (reports.resumeTokenEverySteps > 0 && values > MAX_RESUMABLE_VALUES) {
    const wanted = `0 for images of more than ${MAX_RESUMABLE_VALUES} values`;
    found.push(violation('resume_token_every_steps', wanted, reports.resumeTokenEverySteps));
  }
  return found;
}

function refuseStale(resumed: readonly ResumePoint[] | undefined, { sha256 }: ManifestObject): void {
  if (resumed === undefined || resumed.every(({ weightsSha256 }) => weightsSha256 === sha256)) return;
  const text = `wanted the weights that began the images, ${resumed[0]?.weightsSha256 ?? ''}; got ${sha256}`;
  throw new DiffusionError('RESUME_TOKEN_STALE', text);
}

/** The steps of each image that are done when the call begins. */
function stepsBehind({ count, start, resumed }: SampleRequest): number[] {
  if (resumed !== undefined) return resumed.map(({ state }) => state.stepsDone);
  return Array.from({ length: count }, () => (start?.kind === 'image' ? start.skippedSteps : 0));
}

function sumOf(values: readonly number[], term: (value: number) => number): number {
  return values.reduce((sum, value) => sum + term(value), 0);
}
