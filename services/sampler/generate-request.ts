/** The door: a request to generate images, checked field by field. */

import {
  imageFormats,
  precisions,
  samplers,
  type samplerWire,
  type samplingWire,
} from '../../shared/contract/index.js';
import { invalidArgument, violation, type FieldViolation } from '../../shared/foundation/index.js';
import { NAME_PATTERN, PRECISIONS, type Precision } from '../../shared/recipe/index.js';
import type { SamplerSettings } from '../../shared/sampler/index.js';

const OUTPUT_FORMATS = ['png', 'webp', 'raw_float32'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

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
  readonly previewEverySteps: number;
  /** Empty, one, or one an image. */
  readonly classes: readonly number[];
}

/** Image indices are words of a noise position. */
const INDICES = 2 ** 32;

const SAMPLERS = ['ancestral', 'ddim'] as const;

/** @throws DiffusionError INVALID_ARGUMENT that names every refused field. */
export function readGenerateRequest(wire: samplerWire.GenerateRequest, maxImages: number): GenerateRequest {
  const found: FieldViolation[] = modelNameViolations('model', wire.model);
  const demand = (met: boolean, field: string, wanted: string, got: unknown): void => {
    if (!met) found.push(violation(field, wanted, got));
  };
  const { count, emaRate, classes } = wire;
  const sampler = samplers.read(wire.settings?.sampler ?? 0) ?? 'ancestral';
  const precision = precisions.read(wire.settings?.precision ?? 0) ?? 'float32';
  const format = imageFormats.read(wire.format) ?? 'png';
  const lastFirstIndex = BigInt(INDICES - count);
  demand(
    emaRate === undefined || (emaRate >= 0 && emaRate < 1),
    'emaRate',
    'a rate from 0 up to but not 1',
    emaRate,
  );
  demand(count >= 1 && count <= maxImages, 'count', `an integer from 1 to ${maxImages}`, count);
  demand(
    wire.firstIndex <= lastFirstIndex,
    'firstIndex',
    `an integer from 0 to ${lastFirstIndex.toString()}`,
    wire.firstIndex,
  );
  demand(SAMPLERS.includes(sampler), 'settings.sampler', `one of ${SAMPLERS.join(', ')}`, sampler);
  demand(PRECISIONS.includes(precision), 'settings.precision', `one of ${PRECISIONS.join(', ')}`, precision);
  demand(OUTPUT_FORMATS.includes(format), 'format', `one of ${OUTPUT_FORMATS.join(', ')}`, format);
  demand(
    [0, 1, count].includes(classes.length),
    'classes',
    `no classes, one, or ${count}`,
    `${classes.length} classes`,
  );
  if (found.length > 0) throw invalidArgument(found);
  return {
    model: wire.model,
    version: wire.version === undefined ? undefined : Number(wire.version),
    emaRate,
    count,
    seed: wire.seed,
    firstIndex: Number(wire.firstIndex),
    settings: samplerSettings(sampler, wire.settings),
    precision,
    format,
    previewEverySteps: wire.previewEverySteps,
    classes,
  };
}

/** Why the text is no model's name; nothing where it is one. */
export function modelNameViolations(field: string, name: string): FieldViolation[] {
  if (NAME_PATTERN.test(name)) return [];
  return [
    violation(field, 'a name of lower-case letters, digits, dots, dashes and underscores, at most 63', name),
  ];
}

function samplerSettings(
  sampler: SamplerSettings['sampler'],
  wire: samplingWire.SamplerSettings | undefined,
): SamplerSettings {
  const { timesteps, eta, clipDenoised } = wire ?? {};
  return {
    sampler,
    ...(timesteps?.$case === 'steps' && { steps: timesteps.value }),
    ...(timesteps?.$case === 'respacing' && { respacing: timesteps.value }),
    ...(eta !== undefined && { eta }),
    ...(clipDenoised !== undefined && { clipDenoised }),
  };
}
