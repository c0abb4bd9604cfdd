/** What determines each image of a call: its noise, and what it starts from. */

import { at, DiffusionError, invalidArgument, isInvalid, violation } from '../../shared/foundation/index.js';
import { decodeImage, toFloat32, type ImageShape } from '../../shared/images/index.js';
import {
  imageNoise,
  interpolatedNoise,
  type NoiseSource,
  type SolverOptions,
} from '../../shared/sampler/index.js';
import { fieldOf, type SampleRequest, type StartOf } from './sample-request.js';

/** One image, for a solver. */
export interface ImageTask {
  readonly index: number;
  readonly options: Omit<SolverOptions, 'plan' | 'predict' | 'signal'>;
}

/** The task at a place of the call, from 0. */
export type TaskAt = (offset: number) => ImageTask;

/**
 * Decodes the pictures and latents of the request.
 * @throws DiffusionError INVALID_ARGUMENT that names a picture that can't be decoded, or a latent of another size.
 */
export async function imageTasks(request: SampleRequest, shape: ImageShape): Promise<TaskAt> {
  const { seed, firstIndex, classes, toSeed, count } = request;
  const length = shape.width * shape.height * shape.channels;
  // The states of resumed images hold what they started from.
  const starts = request.resumed === undefined ? await startsOf(request, shape) : [];
  const inpaint = await inpaintOf(request, shape);

  function noiseAt(offset: number): NoiseSource {
    if (toSeed === undefined) return imageNoise(seed, firstIndex + offset, length);
    // Between two seeds all images use one index of the noise; their indices in the answer still count up.
    const ends = [seed, toSeed].map((of) => imageNoise(of, firstIndex, length)) as [NoiseSource, NoiseSource];
    return interpolatedNoise(...ends, offset / (count - 1));
  }

  return (offset) => {
    const y = classes.length === 1 ? classes[0] : classes[offset];
    const start = starts.length === 1 ? starts[0] : starts[offset];
    return {
      index: firstIndex + offset,
      options: {
        noise: noiseAt(offset),
        ...(y !== undefined && { y }),
        ...(start !== undefined && { start }),
        ...(inpaint !== undefined && { inpaint }),
      },
    };
  };
}

async function startsOf(
  request: SampleRequest,
  shape: ImageShape,
): Promise<NonNullable<SolverOptions['start']>[]> {
  const { start } = request;
  const nameOf = ({ field }: StartOf, i: number): string => fieldOf(request, `${field}[${i}]`);
  switch (start?.kind) {
    case undefined:
      return [];
    case 'image':
      return Promise.all(
        start.images.map(async (bytes, i) => ({
          kind: 'image' as const,
          xStart: toFloat32(await pixelsOf(bytes, shape, nameOf(start, i))),
          skippedSteps: start.skippedSteps,
        })),
      );
    case 'latent':
      return start.latents.map((bytes, i) => ({
        kind: 'latent' as const,
        xT: floatsOf(bytes, shape, nameOf(start, i)),
      }));
  }
}

async function inpaintOf(request: SampleRequest, shape: ImageShape) {
  const { inpainting } = request;
  if (inpainting === undefined) return undefined;
  const image = toFloat32(await pixelsOf(inpainting.image, shape, fieldOf(request, 'inpainting.image')));
  const grey = await pixelsOf(
    inpainting.mask,
    { ...shape, channels: 1 },
    fieldOf(request, 'inpainting.mask'),
  );
  const mask = image.map((_, i) => (at(grey, Math.floor(i / shape.channels)) >= 128 ? 1 : 0));
  return { image, mask };
}

async function pixelsOf(bytes: Uint8Array, shape: ImageShape, field: string): Promise<Uint8Array> {
  try {
    return (await decodeImage(bytes, { imageSize: shape.width, channels: shape.channels })).pixels;
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    throw invalidArgument(
      [{ field, description: error.message }],
      isInvalid(error.reason) ? error.reason : 'INVALID_FIELD',
    );
  }
}

function floatsOf(bytes: Uint8Array, { width, height, channels }: ImageShape, field: string): Float32Array {
  const length = width * height * channels;
  if (bytes.length !== 4 * length) {
    const wanted = `${height} x ${width} x ${channels} float32, ${4 * length} bytes`;
    throw invalidArgument([violation(field, wanted, `${bytes.length} bytes`)]);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = view.getFloat32(4 * i, true);
  if (values.every((value) => Number.isFinite(value))) return values;
  throw invalidArgument([violation(field, 'finite values', 'infinity or NaN')]);
}
