/** A good request and a checkpoint -> everything that a generation does, settled. */

import { emaObject, weightsObject, type ManifestObject } from '../../shared/checkpoint/index.js';
import {
  DiffusionError,
  invalidArgument,
  violation,
  type FieldViolation,
} from '../../shared/foundation/index.js';
import type { ImageShape } from '../../shared/images/index.js';
import { recipeBetas, type Precision, type TrainingRecipe } from '../../shared/recipe/index.js';
import { samplerPlan, type SamplerPlan } from '../../shared/sampler/index.js';
import type { GenerateRequest, OutputFormat } from './generate-request.js';
import type { Checkpoint } from './model-catalogue.js';

/** The images of one call. */
export interface ImageSeries {
  readonly count: number;
  readonly seed: bigint;
  readonly firstIndex: number;
  readonly plan: SamplerPlan;
  readonly shape: ImageShape;
  readonly format: OutputFormat;
  /** 0 for no previews. */
  readonly previewEverySteps: number;
  /** Empty where the network has no classes, else one an image. */
  readonly classes: readonly number[];
}

export interface Generation {
  readonly checkpoint: Checkpoint;
  readonly emaRate: number;
  /** The object with this average of the weights. */
  readonly weights: ManifestObject;
  /** As asked for, where it was asked as text. */
  readonly respacing: string | undefined;
  readonly precision: Precision;
  readonly series: ImageSeries;
}

/** @throws DiffusionError INVALID_ARGUMENT that names every refused field, DATA_LOSS for a manifest without weights. */
export function resolveGeneration(request: GenerateRequest, checkpoint: Checkpoint): Generation {
  const { manifest } = checkpoint;
  const { recipe } = manifest;
  const { count, seed, firstIndex, format, previewEverySteps } = request;
  const emaRate = request.emaRate ?? Math.max(0, ...manifest.emaRates);
  const [plan, planViolations] = planOrViolations(request, recipe);
  const violations = [
    ...emaRateViolations(emaRate, manifest.emaRates),
    ...planViolations,
    ...classViolations(request.classes, recipe.architecture.numClasses),
  ];
  if (plan === undefined || violations.length > 0) throw invalidArgument(violations);
  const { imageSize, channels } = recipe.dataset;
  return {
    checkpoint,
    emaRate,
    weights: weightsOf(checkpoint, emaRate),
    respacing: request.settings.respacing,
    precision: request.precision,
    series: {
      count,
      seed,
      firstIndex,
      plan,
      shape: { width: imageSize, height: imageSize, channels },
      format,
      previewEverySteps,
      classes: perImage(request.classes, count),
    },
  };
}

type PlanOrViolations = [plan: SamplerPlan, none: []] | [none: undefined, violations: FieldViolation[]];

function planOrViolations({ settings }: GenerateRequest, recipe: TrainingRecipe): PlanOrViolations {
  const { meanType, varianceType, rescaleTimesteps } = recipe.objective;
  const betas = recipeBetas(recipe);
  try {
    return [
      samplerPlan(settings, {
        betas,
        meanType,
        varianceType,
        rescaleTimesteps,
        channels: recipe.dataset.channels,
      }),
      [],
    ];
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'INVALID_ARGUMENT') throw error;
    const inSettings = error.violations.map(({ field, description }) => ({
      field: `settings.${field}`,
      description,
    }));
    return [undefined, inSettings];
  }
}

function emaRateViolations(rate: number, rates: readonly number[]): FieldViolation[] {
  const known = [0, ...rates];
  return known.includes(rate) ? [] : [violation('emaRate', `one of ${known.join(', ')}`, rate)];
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

function perImage(classes: readonly number[], count: number): readonly number[] {
  const [only] = classes;
  return classes.length === 1 && only !== undefined ? Array.from({ length: count }, () => only) : classes;
}

function weightsOf({ manifest }: Checkpoint, emaRate: number): ManifestObject {
  const name = emaRate === 0 ? weightsObject : emaObject(emaRate);
  const object = manifest.objects.find((candidate) => candidate.name === name);
  if (object !== undefined) return object;
  throw new DiffusionError('DATA_LOSS', `manifest: wanted an object ${name}; got none`, {
    reason: 'MANIFEST_INVALID',
  });
}
