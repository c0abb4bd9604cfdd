/** Images that a network samples, kept in a file: a process that is ended goes on after the last image that it wrote. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { constants, mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { mapInOrder, throwIfAborted } from '../foundation/index.js';
import { toUint8, type ImageShape } from '../images/index.js';
import type { ImageBatch, ImageSet } from '../quality/index.js';
import { deriveKey, randomStream } from '../random/index.js';
import type { TrainingRecipe } from '../recipe/index.js';
import {
  drain,
  imageNoise,
  samplerPlan,
  solver,
  type Predict,
  type SamplerSettings,
} from '../sampler/index.js';
import { contractOf } from './network.js';
import { IMAGES_IN_WORK, type MeasuringOptions } from './task.js';

export interface SampledImages {
  readonly shape: ImageShape;
  readonly count: number;
  /** uint8, one image after the other. */
  readonly path: string;
}

/** Images that are written at once: what a process that is killed loses at most. */
const IMAGES_A_WRITE = 16;

/**
 * Samples the images 0, 1, ... of a seed into a file, as Generate samples them; those that stand in it are not sampled again.
 *
 * @param path Of a file that belongs to these weights, settings and seed alone.
 * @throws what the solver throws; the signal's reason.
 */
export async function sampleInto(
  path: string,
  recipe: TrainingRecipe,
  sampler: SamplerSettings,
  predict: Predict,
  { images: count, seed, signal, onProgress }: MeasuringOptions,
): Promise<SampledImages> {
  const plan = samplerPlan(sampler, contractOf(recipe));
  const { imageSize, channels } = recipe.dataset;
  const shape: ImageShape = { width: imageSize, height: imageSize, channels };
  const values = imageSize * imageSize * channels;
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, constants.O_RDWR | constants.O_CREAT);
  try {
    let done = Math.min(count, Math.floor((await file.stat()).size / values));
    const one = (index: number): Promise<Float32Array> => {
      const y = classOf(recipe, seed, index);
      return drain(
        solver({
          ...{ plan, predict, noise: imageNoise(seed, index, values) },
          ...(y !== undefined && { y }),
          ...(signal !== undefined && { signal }),
        }),
      );
    };
    let batch: Uint8Array[] = [];
    for await (const image of mapInOrder(indices(done, count), IMAGES_IN_WORK, one)) {
      batch.push(toUint8(image));
      done += 1;
      onProgress('sampling', done, count);
      if (batch.length < IMAGES_A_WRITE && done < count) continue;
      // At its place rather than at the end: a second process that samples the same images writes the same bytes there.
      await writeAt(file, (done - batch.length) * values, Buffer.concat(batch));
      batch = [];
    }
  } finally {
    await file.close();
  }
  return { shape, count, path };
}

/** The class of an image, all equally likely; undefined for a network without classes. */
function classOf(
  { architecture: { numClasses } }: TrainingRecipe,
  seed: bigint,
  index: number,
): number | undefined {
  if (numClasses === 0) return undefined;
  return randomStream(deriveKey(seed, 'measured classes'), [index]).integer(numClasses);
}

function* indices(from: number, to: number): Generator<number, void, undefined> {
  for (let index = from; index < to; index++) yield index;
}

/** The file's images, as a set that can be measured. */
export function sampledSet({ path, shape, count }: SampledImages): ImageSet {
  return {
    address: `${count} sampled images`,
    fingerprint: async () => {
      const hash = createHash('sha256').update(`sampled ${JSON.stringify(shape)}\n`);
      for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
      return hash.digest('hex');
    },
    images: {
      count,
      shape: () => Promise.resolve({ ...shape, channels: 3 }),
      batches: (size, signal) => batchesOf(path, shape, count, size, signal),
    },
    statistics: undefined,
    close: () => Promise.resolve(),
  };
}

async function* batchesOf(
  path: string,
  shape: ImageShape,
  count: number,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageBatch, void, undefined> {
  const values = shape.width * shape.height * shape.channels;
  const file = await open(path, 'r');
  try {
    for (let first = 0; first < count; first += size) {
      throwIfAborted(signal, 'reading images');
      const some = Math.min(size, count - first);
      const pixels = await readAt(file, first * values, some * values);
      yield { count: some, shape: { ...shape, channels: 3 }, pixels: coloured(pixels, shape) };
    }
  } finally {
    await file.close();
  }
}

async function writeAt(file: FileHandle, position: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error(`the sampled images end at ${position + done} bytes`);
    done += bytesRead;
  }
  return bytes;
}

/** Extractors take three channels; a grey image has the same in each. */
export function coloured(pixels: Uint8Array, { channels }: Pick<ImageShape, 'channels'>): Uint8Array {
  if (channels === 3) return pixels;
  const colours = new Uint8Array(3 * pixels.length);
  for (let i = 0; i < colours.length; i++) colours[i] = pixels[Math.floor(i / 3)] ?? 0;
  return colours;
}
