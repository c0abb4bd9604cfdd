/** What a call asks of the sampler, as Generate and Encode both give it, with the checks that need no checkpoint. */

import { PRIORITIES, priorities, type OutputFormat, type Priority } from '../../shared/contract/index.js';
import {
  invalidArgument,
  violation,
  within,
  type Demand,
  type DiffusionError,
  type FieldViolation,
} from '../../shared/foundation/index.js';
import {
  NAME_PATTERN,
  PRECISIONS,
  weightsChoice,
  type Precision,
  type WeightsChoice,
} from '../../shared/recipe/index.js';
import { SAMPLERS, SPACINGS, type SamplerSettings } from '../../shared/sampler/index.js';
import type { ResumePoint } from './resume-token.js';

/** Checkpoint, weights and precision of a model. */
export interface ModelRequest {
  readonly model: string;
  /** Undefined for the newest good one. */
  readonly checkpointStep: number | undefined;
  /** Undefined for the EMA weights of the largest rate. */
  readonly weights: WeightsChoice | undefined;
  readonly precision: Precision;
}

export interface SampleRequest extends ModelRequest {
  /** Sample images, or encode them to x_T. */
  readonly task: 'generate' | 'encode';
  /** Which field of the call's message has the fields below; empty for the message itself. */
  readonly within: string;
  readonly priority: Priority;
  readonly count: number;
  readonly seed: bigint;
  readonly firstIndex: number;
  readonly settings: SamplerSettings;
  readonly format: OutputFormat;
  readonly reports: Reports;
  /** Empty, one, or one an image. */
  readonly classes: readonly number[];
  readonly start: StartOf | undefined;
  /** Encoded pictures. */
  readonly inpainting: { readonly image: Uint8Array; readonly mask: Uint8Array } | undefined;
  /** The last image's seed, where images lie between two. */
  readonly toSeed: bigint | undefined;
  /** Of the request that began the images, in hexadecimal: what their tokens are bound to. */
  readonly requestSha256: string;
  /** Only these images, each from where another call left it; undefined for all, from their beginning. */
  readonly resumed?: readonly ResumePoint[];
}

/** What is sent of images before they are finished, every this many steps; 0 for never. */
export interface Reports {
  readonly previewEverySteps: number;
  readonly trajectoryEverySteps: number;
  readonly resumeTokenEverySteps: number;
}

/** What images start from: one for all, or one an image. `field` has its list in the request. */
export type StartOf =
  /** Encoded pictures. */
  | {
      readonly kind: 'image';
      readonly field: string;
      readonly images: readonly Uint8Array[];
      readonly skippedSteps: number;
    }
  /** [H, W, C] little-endian float32. */
  | { readonly kind: 'latent'; readonly field: string; readonly latents: readonly Uint8Array[] };

/** The refusal of fields of a request, by their paths from the call's message. */
export function refusal(
  request: Pick<SampleRequest, 'within'>,
  violations: readonly FieldViolation[],
): DiffusionError {
  return invalidArgument(within(request.within, violations));
}

/** @throws DiffusionError INVALID_ARGUMENT naming `priority`. */
export function readPriority(wire: number): Priority {
  const priority = priorities.read(wire) ?? 'normal';
  if (PRIORITIES.includes(priority)) return priority;
  throw invalidArgument([violation('priority', `one of ${PRIORITIES.join(', ')}`, priority)]);
}

/** A field's path from the call's message. */
export function fieldOf({ within: message }: Pick<SampleRequest, 'within'>, field: string): string {
  return message === '' ? field : `${message}.${field}`;
}

/** The fields by which a request chooses weights. */
export function checkModelRequest({ model, weights, precision }: ModelRequest, demand: Demand): void {
  demand(NAME_PATTERN.test(model), 'model', MODEL_NAME, model);
  demand(
    weights === undefined || weightsChoice.accept(weights) !== undefined,
    'weights.ema_rate',
    'a rate from 0 up to but not 1',
    weights,
  );
  demand(PRECISIONS.includes(precision), 'precision', `one of ${PRECISIONS.join(', ')}`, precision);
}

/** The fields that both kinds of calls have. */
export function checkSampleRequest(request: SampleRequest, maxImages: number, demand: Demand): void {
  const { settings, count, classes } = request;
  const { sampler, spacing = 'even' } = settings;
  checkModelRequest(request, (met, field, ...texts) => {
    demand(met, field === 'precision' ? 'settings.precision' : field, ...texts);
  });
  demand(
    count >= 1 && count <= maxImages,
    request.task === 'encode' ? 'images' : 'count',
    request.task === 'encode' ? `1 to ${maxImages} images` : `an integer from 1 to ${maxImages}`,
    count,
  );
  demand(SAMPLERS.includes(sampler), 'settings.sampler', `one of ${SAMPLERS.join(', ')}`, sampler);
  demand(SPACINGS.includes(spacing), 'settings.spacing', `one of ${SPACINGS.join(', ')}`, spacing);
  demand(
    [0, 1, count].includes(classes.length),
    'classes',
    `no classes, one, or ${count}`,
    `${classes.length} classes`,
  );
}

/** @throws DiffusionError INVALID_ARGUMENT naming `model`. */
export function checkModelName(model: string): void {
  if (!NAME_PATTERN.test(model)) throw invalidArgument([violation('model', MODEL_NAME, model)]);
}

const MODEL_NAME = 'a name of lower-case letters, digits, dots, dashes and underscores, at most 63';
