/** From a specification on the wire to a measurement that fits a checkpoint. */

import { isAbsolute } from 'node:path';

import { measurementFromWire, type measureWire } from '../../../shared/contract/index.js';
import { checkSource, FILE_KINDS, sourceAt, type SourceKindName } from '../../../shared/dataset/index.js';
import {
  DiffusionError,
  describeValue,
  invalidArgument,
  isInteger,
  unmet,
  violation,
  within,
} from '../../../shared/foundation/index.js';
import {
  DEFAULT_IMAGES,
  type MeasurementRequest,
  type MeasurementTask,
} from '../../../shared/measuring/index.js';
import { chooseWeights, type Checkpoint } from '../../../shared/models/index.js';
import { EXTRACTOR_NAMES } from '../../../shared/quality/index.js';
import { datasetConfig, type TrainingRecipe } from '../../../shared/recipe/index.js';
import { allowedFile, hasScheme, isFileAddress, type FileAccess } from '../../../shared/store/index.js';
import { checkModelRequest } from '../sample-request.js';
import { leastImages, resolveTask } from './kinds.js';
import type { RealImages } from './messages.js';

export interface MeasurementLimits {
  readonly images: number;
  /** Images times evaluations of the network for each. */
  readonly evaluations: number;
  /** Bytes of the images that quality samples. */
  readonly bytes: number;
}

/** A request with a task. */
export type Specification = MeasurementRequest & { readonly task: MeasurementTask };

const SPEC = 'spec';
const CHECK_WITHIN_MS = 20_000;
const MIB = 1024 ** 2;

/** Checks what needs no checkpoint. @throws DiffusionError INVALID_ARGUMENT that names every refused field. */
export function readSpecification(
  wire: measureWire.MeasurementSpec | undefined,
  limits: MeasurementLimits,
): Specification {
  const request = measurementFromWire(wire);
  const { task, images, data, dataKind } = request;
  const found = unmet((demand) => {
    checkModelRequest(request, (met, field, ...texts) => {
      demand(met, field === 'precision' ? precisionField(task) : field, ...texts);
    });
    const least = task === undefined ? 1 : leastImages(task);
    const wanted = `0 for the default, or an integer from ${least} to ${limits.images}`;
    demand(images === 0 || isInteger(images, least, limits.images), 'images', wanted, images);
    const isAddress = isFileAddress(data) && (hasScheme(data) || isAbsolute(data));
    demand(
      data === '' || isAddress,
      'data',
      'an absolute path or an address such as s3://bucket/prefix',
      data,
    );
    const isKind = (FILE_KINDS as readonly string[]).includes(dataKind);
    const kinds = task?.kind === 'quality' ? 'no value for quality' : `one of ${FILE_KINDS.join(', ')}`;
    demand(dataKind === '' || (isKind && task?.kind !== 'quality'), 'data_kind', kinds, dataKind);
  });
  if (task === undefined)
    found.push(violation('exposure', 'one of exposure, likelihood and quality', undefined));
  if (found.length > 0 || task === undefined) throw invalidArgument(within(SPEC, found));
  // The default may be above a limit of this service.
  const limited = images === 0 && DEFAULT_IMAGES[task.kind] > limits.images;
  return { ...request, task, ...(limited && { images: limits.images }) };
}

function precisionField(task: MeasurementTask | undefined): string {
  if (task === undefined) return 'exposure';
  return task.kind === 'likelihood' ? 'likelihood.precision' : `${task.kind}.settings.precision`;
}

/**
 * The specification with every field as resolved.
 *
 * @throws DiffusionError INVALID_ARGUMENT naming fields; RESOURCE_EXHAUSTED (reasons TOO_MANY_EVALUATIONS, CALL_TOO_LARGE).
 */
export function resolveSpecification(
  request: Specification,
  { commit, manifest }: Checkpoint,
  limits: MeasurementLimits,
): Specification {
  const { recipe } = manifest;
  const { weights } = withinSpec(() => chooseWeights(manifest, request.weights, 'weights'));
  const resolved = resolveTask(request.task, recipe);
  if ('violations' in resolved)
    throw invalidArgument(within(`${SPEC}.${request.task.kind}`, resolved.violations));
  if (request.data === '' && recipe.dataset.source.kind === 'unknown')
    throw invalidArgument([
      violation(`${SPEC}.data`, 'an address, as the training images of this model are not known', undefined),
    ]);
  const images = request.images || DEFAULT_IMAGES[request.task.kind];
  const evaluations = images * resolved.evaluations;
  if (evaluations > limits.evaluations) {
    const text = `wanted a measurement of at most ${limits.evaluations} network evaluations; got ${evaluations}`;
    throw new DiffusionError('TOO_MANY_EVALUATIONS', text);
  }
  const { imageSize, channels } = recipe.dataset;
  const bytes = request.task.kind === 'quality' ? images * imageSize ** 2 * channels : 0;
  if (bytes > limits.bytes) {
    const [most, got] = [Math.floor(limits.bytes / MIB), Math.ceil(bytes / MIB)];
    throw new DiffusionError(
      'CALL_TOO_LARGE',
      `wanted at most ${most} MiB of sampled images; got ${got} MiB`,
    );
  }
  return { ...request, checkpointStep: commit.step, weights, task: resolved.task };
}

/** Where a specification's real images are. */
export function realImagesOf({ data, dataKind, task }: Specification, recipe: TrainingRecipe): RealImages {
  if (data === '') return { kind: 'dataset', config: datasetConfig(recipe) };
  if (task.kind === 'quality') return { kind: 'set', address: data };
  const { imageSize, channels } = recipe.dataset;
  const kind = dataKind === '' ? undefined : (dataKind as SourceKindName);
  const source = sourceAt(data, { kind, classes: recipe.architecture.numClasses > 0 });
  return { kind: 'dataset', config: { source, imageSize, channels } };
}

/**
 * Asks whether the images and the extractor are there and may be read; what is in them shows when they are read.
 *
 * @throws DiffusionError NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE or FAILED_PRECONDITION, naming the field.
 */
export async function checkFiles(
  specification: Specification,
  recipe: TrainingRecipe,
  access: FileAccess,
): Promise<void> {
  const images = realImagesOf(specification, recipe);
  const source =
    images.kind === 'dataset' ? images.config.source : sourceAt(images.address, { classes: false });
  await naming(`${SPEC}.data`, () =>
    checkSource(source, { access, signal: AbortSignal.timeout(CHECK_WITHIN_MS) }),
  );
  const { task } = specification;
  if (task.kind !== 'quality' || EXTRACTOR_NAMES.includes(task.extractor)) return;
  const field = `${SPEC}.quality.extractor`;
  if (!isAbsolute(task.extractor)) {
    const wanted = `one of ${EXTRACTOR_NAMES.join(', ')}, or the absolute path of a frozen graph`;
    throw invalidArgument([violation(field, wanted, task.extractor)]);
  }
  await naming(field, async () => {
    await allowedFile(task.extractor, access).catch((error: unknown) => {
      if (!(error instanceof DiffusionError) || error.reason !== 'FILE_NOT_FOUND') throw error;
      const text = `wanted a frozen graph at ${describeValue(task.extractor)}; got nothing`;
      throw new DiffusionError('EXTRACTOR_NOT_FOUND', text, { cause: error });
    });
  });
}

/** An error of files with the field that named them. */
async function naming(field: string, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    const { code, reason, message, metadata, retryAfterMs } = error;
    throw DiffusionError.received(code, reason, `${field}: ${message}`, {
      ...{ violations: [{ field, description: message }], metadata, cause: error },
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  }
}

function withinSpec<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'INVALID_ARGUMENT') throw error;
    throw invalidArgument(within(SPEC, error.violations));
  }
}
