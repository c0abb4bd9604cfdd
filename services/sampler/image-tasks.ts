/** What determines each image of a call: its noise, and what it starts from. */

import { setImmediate } from 'node:timers/promises';

import {
  at,
  DiffusionError,
  invalidArgument,
  isInvalid,
  mapInOrder,
  throwIfAborted,
  violation,
} from '../../shared/foundation/index.js';
import { toFloat32, type ImageShape, type PictureDecoder } from '../../shared/images/index.js';
import {
  imageNoise,
  interpolatedNoise,
  type NoiseSource,
  type SolverOptions,
} from '../../shared/sampler/index.js';
import type { ResumePoint } from './resume-token.js';
import { fieldOf, type SampleRequest, type StartOf } from './sample-request.js';

/** One image, for a solver. */
export interface ImageTask {
  readonly index: number;
  readonly options: Omit<SolverOptions, 'plan' | 'predict' | 'signal'>;
}

/** The task at a place of the call, from 0. */
export type TaskAt = (offset: number) => ImageTask;

/** Decodes a picture. @throws DiffusionError as a `PictureDecoder`. */
type Decode = (bytes: Uint8Array, shape: ImageShape) => Promise<Uint8Array>;

/** Pictures of one call that are decoded or wait for it at once, so that calls take turns. */
const PICTURES_AT_ONCE = 2;

/**
 * Decodes the pictures of the request, and checks its latents.
 *
 * @throws DiffusionError INVALID_ARGUMENT that names a picture that can't be decoded, or a latent of another size; the
 * signal's reason.
 */
export async function imageTasks(
  request: SampleRequest,
  shape: ImageShape,
  decoder: PictureDecoder,
  signal: AbortSignal,
): Promise<TaskAt> {
  const { seed, firstIndex, classes, toSeed, count, resumed } = request;
  const length = shape.width * shape.height * shape.channels;
  const decode: Decode = (bytes, { width, channels }) =>
    decoder.decode(bytes, { imageSize: width, channels }, signal);
  // The states of resumed images hold what they started from.
  const starts = resumed === undefined ? await startsOf(request, shape, decode, signal) : [];
  const inpaint = await inpaintOf(request, shape, decode);

  function noiseAt(offset: number): NoiseSource {
    if (toSeed === undefined) return imageNoise(seed, firstIndex + offset, length);
    // Between two seeds all images use one index of the noise; their indices in the answer still count up.
    const ends = [seed, toSeed].map((of) => imageNoise(of, firstIndex, length)) as [NoiseSource, NoiseSource];
    return interpolatedNoise(...ends, offset / (count - 1));
  }

  const fresh: TaskAt = (offset) => {
    const y = classes.length === 1 ? classes[0] : classes[offset];
    const start = starts.length === 1 ? starts[0] : starts[offset];
    return {
      index: firstIndex + offset,
      options: {
        noise: noiseAt(offset),
        ...(y !== undefined && { y }),
        ...(start !== undefined && { start: start() }),
        ...(inpaint !== undefined && { inpaint }),
      },
    };
  };
  return resumed === undefined ? fresh : resumedTasks(fresh, resumed, request);
}

/** Made when its image begins: as floats it takes four times as much memory. */
type MakeStart = () => NonNullable<SolverOptions['start']>;

async function startsOf(
  request: SampleRequest,
  shape: ImageShape,
  decode: Decode,
  signal: AbortSignal,
): Promise<MakeStart[]> {
  const { start } = request;
  const nameOf = ({ field }: StartOf, i: number): string => fieldOf(request, `${field}[${i}]`);
  const made: MakeStart[] = [];
  switch (start?.kind) {
    case undefined:
      break;
    case 'image': {
      const { skippedSteps } = start;
      const decoded = mapInOrder(start.images.entries(), PICTURES_AT_ONCE, ([i, bytes]) =>
        pixelsOf(bytes, shape, nameOf(start, i), decode),
      );
      for await (const pixels of decoded)
        made.push(() => ({ kind: 'image', xStart: toFloat32(pixels), skippedSteps }));
      break;
    }
    case 'latent':
      for (const [i, bytes] of start.latents.entries()) {
        checkLatent(bytes, shape, nameOf(start, i));
        made.push(() => ({ kind: 'latent', xT: floatsOf(bytes) }));
        // Other calls are served between one and the next.
        await setImmediate();
        throwIfAborted(signal, 'the call');
      }
  }
  return made;
}

async function inpaintOf(request: SampleRequest, shape: ImageShape, decode: Decode) {
  const { inpainting } = request;
  if (inpainting === undefined) return undefined;
  const { image: picture, mask: maskPicture } = inpainting;
  const image = toFloat32(await pixelsOf(picture, shape, fieldOf(request, 'inpainting.image'), decode));
  const greyShape = { ...shape, channels: 1 as const };
  const grey = await pixelsOf(maskPicture, greyShape, fieldOf(request, 'inpainting.mask'), decode);
  const mask = image.map((_, i) => (at(grey, Math.floor(i / shape.channels)) >= 128 ? 1 : 0));
  return { image, mask };
}

async function pixelsOf(
  bytes: Uint8Array,
  shape: ImageShape,
  field: string,
  decode: Decode,
): Promise<Uint8Array> {
  try {
    return await decode(bytes, shape);
  } catch (error) {
    if (!(error instanceof DiffusionError) || !isInvalid(error.reason)) throw error;
    throw invalidArgument([{ field, description: error.message }], error.reason);
  }
}

function checkLatent(bytes: Uint8Array, { width, height, channels }: ImageShape, field: string): void {
  const length = width * height * channels;
  if (bytes.length !== 4 * length) {
    const wanted = `${height} x ${width} x ${channels} float32, ${4 * length} bytes`;
    throw invalidArgument([violation(field, wanted, `${bytes.length} bytes`)]);
  }
  if (!floatsOf(bytes).every((value) => Number.isFinite(value)))
    throw invalidArgument([violation(field, 'finite values', 'infinity or NaN')]);
}

/** Little-endian float32. */
function floatsOf(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(bytes.length / 4);
  for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(4 * i, true);
  return values;
}

function resumedTasks(
  fresh: TaskAt,
  resumed: readonly ResumePoint[],
  { firstIndex, start }: SampleRequest,
): TaskAt {
  return (place) => {
    const { index, state } = resumed[place] as ResumePoint;
    const { options } = fresh(index - firstIndex);
    // Its state holds the image that it started from, but not the number of skipped steps.
    const began = start?.kind === 'image' && { start: { ...start, xStart: state.x } };
    return { index, options: { ...options, ...began, resume: state } };
  };
}
