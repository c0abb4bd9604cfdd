/** Generate's requests: new images, or images that another call began. */

import { createHash } from 'node:crypto';

import {
  OUTPUT_FORMATS,
  imageFormats,
  precisions,
  samplerSettingsFromWire,
  samplerWire,
  weightsFromWire,
  withoutStartImages,
} from '../../shared/contract/index.js';
import {
  invalidArgument,
  unmet,
  violation,
  type Demand,
  type FieldViolation,
} from '../../shared/foundation/index.js';
import { readResumeToken } from './resume-token.js';
import {
  checkSampleRequest,
  readPriority,
  refusal,
  type SampleRequest,
  type StartOf,
} from './sample-request.js';

/** What a request says beside its images. */
type OfCall = Pick<SampleRequest, 'reports' | 'priority'>;

/** Image indices are words of a noise position. */
const INDICES = 2 ** 32;

/**
 * @param tokenKey Which resume tokens must be signed with.
 * @throws DiffusionError INVALID_ARGUMENT that names every refused field.
 */
export function readGenerateRequest(
  wire: samplerWire.GenerateRequest,
  maxImages: number,
  tokenKey: Buffer,
): SampleRequest {
  const { images, priority, ...reports } = wire;
  const ofCall = { reports, priority: readPriority(priority) };
  switch (images?.$case) {
    case undefined:
      throw invalidArgument([violation('new_images', 'new_images or resumed_images', undefined)]);
    case 'newImages':
      return readNew(images.value, ofCall, maxImages, 'new_images');
    case 'resumedImages':
      return readResumed(images.value, ofCall, maxImages, tokenKey);
  }
}

/** The request is checked like a new one; its tokens say which weights it is resumed with. */
function readResumed(
  { request: wire, tokens }: samplerWire.ResumedImages,
  ofCall: OfCall,
  maxImages: number,
  tokenKey: Buffer,
): SampleRequest {
  const request = readNew(
    wire ?? samplerWire.NewImages.create(),
    ofCall,
    maxImages,
    'resumed_images.request',
  );
  if (tokens.length > request.count) {
    const wanted = `at most ${request.count} tokens, one for each image`;
    throw invalidArgument([violation('resumed_images.tokens', wanted, `${tokens.length} tokens`)]);
  }
  const resumed = tokens.map((token, i) => readResumeToken(token, `resumed_images.tokens[${i}]`, tokenKey));
  const [first] = resumed;
  if (first === undefined) {
    throw invalidArgument([violation('resumed_images.tokens', 'a token for each image to resume', 'none')]);
  }
  const found = resumed.flatMap((point, i): FieldViolation[] => {
    const field = `resumed_images.tokens[${i}]`;
    if (point.requestSha256 !== request.requestSha256)
      return [violation(field, 'a token of this request', 'one of another request')];
    if (resumed.findIndex(({ index }) => index === point.index) < i)
      return [violation(field, 'one token for each image', `a second token of image ${point.index}`)];
    return point.weightsSha256 === first.weightsSha256
      ? []
      : [violation(field, 'a token of the same weights as the first', 'one of other weights')];
  });
  if (found.length > 0) throw invalidArgument(found);
  const { checkpointStep, weights } = first;
  return { ...request, checkpointStep, weights, resumed };
}

function readNew(
  wire: samplerWire.NewImages,
  ofCall: OfCall,
  maxImages: number,
  within: string,
): SampleRequest {
  const { model, checkpointStep, count, seed, firstIndex, classes, inpainting, interpolation } = wire;
  const request: SampleRequest = {
    task: 'generate',
    within,
    ...{ model, checkpointStep, count, seed, firstIndex, classes, inpainting, ...ofCall },
    weights: weightsFromWire(wire.weights),
    settings: samplerSettingsFromWire(wire.settings),
    precision: precisions.read(wire.settings?.precision ?? 0) ?? 'float32',
    format: imageFormats.read(wire.format) ?? 'png',
    start: startOf(wire.start),
    toSeed: interpolation?.toSeed,
    requestSha256: sha256Of(wire),
  };
  const found = unmet((demand) => {
    checkSampleRequest(request, maxImages, demand);
    checkNew(request, within !== 'new_images', demand);
  });
  if (found.length > 0) throw refusal(request, found);
  return request;
}

function checkNew(
  { count, firstIndex, format, start, toSeed, inpainting }: SampleRequest,
  isResumed: boolean,
  demand: Demand,
): void {
  demand(firstIndex <= INDICES - count, 'first_index', `an integer from 0 to ${INDICES - count}`, firstIndex);
  demand(OUTPUT_FORMATS.includes(format), 'format', `one of ${OUTPUT_FORMATS.join(', ')}`, format);
  if (start !== undefined) {
    const starts = start.kind === 'image' ? start.images.length : start.latents.length;
    const isFitting = starts === 1 || starts === count || (isResumed && starts === 0);
    demand(isFitting, start.field, `one, or ${count}`, `${starts}`);
  }
  demand(toSeed === undefined || count > 1, 'count', 'at least 2 images between two seeds', count);
  demand(
    toSeed === undefined || start?.kind !== 'latent',
    'interpolation',
    'none with start_latents, as no seed is used with them',
    'an interpolation',
  );
  demand(
    inpainting === undefined || start?.kind !== 'latent',
    'inpainting',
    'none with start_latents, as the kept part needs noise from a seed',
    'a mask',
  );
}

function startOf(wire: samplerWire.NewImages['start']): StartOf | undefined {
  switch (wire?.$case) {
    case undefined:
      return undefined;
    case 'startImages':
      return { kind: 'image', field: 'start_images.images', ...wire.value };
    case 'startLatents':
      return { kind: 'latent', field: 'start_latents.latents', ...wire.value };
  }
}

/** The same for a request without its start images. */
function sha256Of(wire: samplerWire.NewImages): string {
  const bytes = samplerWire.NewImages.encode(withoutStartImages(wire)).finish();
  return createHash('sha256').update(bytes).digest('hex');
}
