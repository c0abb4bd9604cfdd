/** The door: a request to generate images, checked field by field. */

import {
  OUTPUT_FORMATS,
  imageFormats,
  precisions,
  samplerSettingsFromWire,
  samplerWire,
  type OutputFormat,
} from '../../shared/contract/index.js';
import { invalidArgument, unmet, violation, type FieldViolation } from '../../shared/foundation/index.js';
import { NAME_PATTERN, PRECISIONS, type Precision } from '../../shared/recipe/index.js';
import { SAMPLERS, SPACINGS, type SamplerSettings } from '../../shared/sampler/index.js';
import { readResumeToken, type ResumePoint } from './resume-token.js';

/** A request in which every field that stands alone is good; the rest depends on the checkpoint. */
export interface GenerateRequest {
  readonly model: string;
  /** A step; undefined for the newest good one. */
  readonly version: number | undefined;
  /** Undefined for the largest. */
  readonly emaRate: number | undefined;
  readonly count: number;
  readonly seed: bigint;
  readonly firstIndex: number;
  readonly settings: SamplerSettings;
  readonly precision: Precision;
  readonly format: OutputFormat;
  readonly telling: Telling;
  /** Empty, one, or one an image. */
  readonly classes: readonly number[];
  readonly start: StartOf | undefined;
  /** Encoded pictures. */
  readonly inpainting: { readonly image: Uint8Array; readonly mask: Uint8Array } | undefined;
  /** The last image's seed, where images lie between two. */
  readonly toSeed: bigint | undefined;
  /** Only these images, each from where another call left it; undefined for all, from their beginning. */
  readonly resumed?: readonly ResumePoint[];
  /** As it came. */
  readonly wire: samplerWire.GenerateRequest;
}

/** What is told of images on their way, every so many steps; 0 for never. */
export interface Telling {
  readonly previewEverySteps: number;
  readonly trajectoryEverySteps: number;
  readonly resumeTokenEverySteps: number;
}

/** What images start from: one for all, or one an image. */
export type StartOf =
  /** Encoded pictures. */
  | { readonly kind: 'image'; readonly images: readonly Uint8Array[]; readonly skippedSteps: number }
  /** [H, W, C] little-endian float32. */
  | { readonly kind: 'latent'; readonly latents: readonly Uint8Array[] };

/** Image indices are words of a noise position. */
const INDICES = 2 ** 32;

/** @throws DiffusionError INVALID_ARGUMENT that names every refused field. */
export function readGenerateRequest(wire: samplerWire.GenerateRequest, maxImages: number): GenerateRequest {
  return wire.resumeTokens.length === 0 ? readFresh(wire, maxImages) : readResumed(wire, maxImages);
}

/** All tokens must be of one call; what they say of it is checked as if it came anew. */
function readResumed(wire: samplerWire.GenerateRequest, maxImages: number): GenerateRequest {
  const { resumeTokens, previewEverySteps, trajectoryEverySteps, resumeTokenEverySteps } = wire;
  const telling = { previewEverySteps, trajectoryEverySteps, resumeTokenEverySteps };
  const alone = samplerWire.GenerateRequest.create({ resumeTokens, ...telling });
  if (!sameMessage(wire, alone)) {
    throw invalidArgument([violation('resume_tokens', 'no other fields beside them', 'some')]);
  }
  const resumed = resumeTokens.map((token, i) => readResumeToken(token, `resume_tokens[${i}]`));
  const [first] = resumed as [ResumePoint, ...ResumePoint[]];
  const found = resumed.flatMap(({ request, weightsSha256, index }, i) => {
    const field = `resume_tokens[${i}]`;
    if (resumed.findIndex((other) => other.index === index) < i)
      return [violation(field, 'one token an image', `another of image ${index}`)];
    return weightsSha256 === first.weightsSha256 && sameMessage(request, first.request)
      ? []
      : [violation(field, 'a token of the same call as the first', 'one of another call')];
  });
  if (found.length > 0) throw invalidArgument(found);
  return { ...readFresh(first.request, maxImages, true), telling, resumed };
}

function sameMessage(a: samplerWire.GenerateRequest, b: samplerWire.GenerateRequest): boolean {
  const [one, other] = [a, b].map((message) => samplerWire.GenerateRequest.encode(message).finish());
  return one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;
}

function readFresh(wire: samplerWire.GenerateRequest, maxImages: number, resumed = false): GenerateRequest {
  const { count, emaRate, classes, interpolation, inpainting } = wire;
  const settings = samplerSettingsFromWire(wire.settings);
  const { sampler, spacing = 'even' } = settings;
  const precision = precisions.read(wire.settings?.precision ?? 0) ?? 'float32';
  const format = imageFormats.read(wire.format) ?? 'png';
  const start = startOf(wire.start);
  const starts = start?.kind === 'image' ? start.images.length : (start?.latents.length ?? 0);
  const lastFirstIndex = BigInt(INDICES - count);
  const found = unmet((demand) => {
    demand(
      emaRate === undefined || (emaRate >= 0 && emaRate < 1),
      'ema_rate',
      'a rate from 0 up to but not 1',
      emaRate,
    );
    demand(count >= 1 && count <= maxImages, 'count', `an integer from 1 to ${maxImages}`, count);
    demand(
      wire.firstIndex <= lastFirstIndex,
      'first_index',
      `an integer from 0 to ${lastFirstIndex.toString()}`,
      wire.firstIndex,
    );
    demand(SAMPLERS.includes(sampler), 'settings.sampler', `one of ${SAMPLERS.join(', ')}`, sampler);
    demand(SPACINGS.includes(spacing), 'settings.spacing', `one of ${SPACINGS.join(', ')}`, spacing);
    demand(
      PRECISIONS.includes(precision),
      'settings.precision',
      `one of ${PRECISIONS.join(', ')}`,
      precision,
    );
    demand(OUTPUT_FORMATS.includes(format), 'format', `one of ${OUTPUT_FORMATS.join(', ')}`, format);
    demand(
      [0, 1, count].includes(classes.length),
      'classes',
      `no classes, one, or ${count}`,
      `${classes.length} classes`,
    );
    demand(
      resumed || start === undefined || starts === 1 || starts === count,
      `start.${start?.kind === 'latent' ? 'latents' : 'images'}`,
      `one, or ${count}`,
      `${starts}`,
    );
    demand(
      start?.kind !== 'latent' || (wire.start?.images.length === 0 && wire.start.skippedSteps === 0),
      'start.latents',
      'none beside images or skipped_steps',
      `${starts} latents`,
    );
    demand(interpolation === undefined || count > 1, 'count', 'at least 2 images between two seeds', count);
    demand(
      interpolation === undefined || start?.kind !== 'latent',
      'interpolation',
      'none with start.latents, which leave nothing to a seed',
      'an interpolation',
    );
    demand(
      inpainting === undefined || start?.kind !== 'latent',
      'inpainting',
      'none with start.latents: what is kept needs noise of its own',
      'a mask',
    );
    if (sampler === 'ddim_encode') {
      demand(resumed || start?.kind === 'image', 'start.images', 'the images to encode', start?.kind);
      demand(
        start?.kind !== 'image' || start.skippedSteps === 0,
        'start.skipped_steps',
        '0 with the ddim_encode sampler',
        wire.start?.skippedSteps,
      );
      demand(format === 'raw_float32', 'format', 'raw_float32 with the ddim_encode sampler', format);
      demand(inpainting === undefined, 'inpainting', 'none with the ddim_encode sampler', 'a mask');
    }
  });
  found.unshift(...modelNameViolations('model', wire.model));
  if (found.length > 0) throw invalidArgument(found);
  const { previewEverySteps, trajectoryEverySteps, resumeTokenEverySteps } = wire;
  return {
    model: wire.model,
    version: wire.version === undefined ? undefined : Number(wire.version),
    emaRate,
    count,
    seed: wire.seed,
    firstIndex: Number(wire.firstIndex),
    settings,
    precision,
    format,
    telling: { previewEverySteps, trajectoryEverySteps, resumeTokenEverySteps },
    classes,
    start,
    inpainting,
    toSeed: interpolation?.toSeed,
    wire,
  };
}

/** Why the text is no model's name; nothing where it is one. */
export function modelNameViolations(field: string, name: string): FieldViolation[] {
  if (NAME_PATTERN.test(name)) return [];
  return [
    violation(field, 'a name of lower-case letters, digits, dots, dashes and underscores, at most 63', name),
  ];
}

function startOf(wire: samplerWire.StartImages | undefined): StartOf | undefined {
  if (wire === undefined) return undefined;
  const { images, latents, skippedSteps } = wire;
  return latents.length > 0 ? { kind: 'latent', latents } : { kind: 'image', images, skippedSteps };
}
