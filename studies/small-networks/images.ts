/** The images of the studies with training: small, by block means, some for training and others that are held out. */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { openDataset, writeNpz, type Dataset, type DatasetSource } from '../../shared/dataset/index.js';
import { decodeWhole } from '../../shared/images/index.js';
import { deriveKey, permutation } from '../../shared/random/index.js';

interface ImageKind {
  /** Height and width. */
  readonly size: number;
  readonly channels: 1 | 3;
  /** Heights of the levels at which a network of theirs, which has two levels, has attention. */
  readonly attention: readonly number[];
  /** Images that no network is trained on: the last ones. */
  readonly heldOut: number;
  /** [size, size, 3] uint8 each. @param data The data folder. */
  readonly read: (data: string, work: string) => Promise<Uint8Array[]>;
}

export const IMAGE_KINDS = {
  'cifar-8': {
    ...{ size: 8, channels: 3, attention: [8, 4], heldOut: 1000 },
    read: imageRows({ folder: 'cifar10', prefix: 'cifar10_batch_', side: 32, block: 4, most: 4000 }),
  },
  'cifar-16': {
    ...{ size: 16, channels: 3, attention: [8], heldOut: 1000 },
    read: imageRows({ folder: 'cifar10', prefix: 'cifar10_batch_', side: 32, block: 2, most: 4000 }),
  },
  'digits-14': {
    ...{ size: 14, channels: 1, attention: [7], heldOut: 4000 },
    read: imageRows({ folder: 'mnist', prefix: 'mnist_batch_', side: 28, block: 2, most: 24_000 }),
  },
  'twemoji-16': {
    ...{ size: 16, channels: 3, attention: [8], heldOut: 1000 },
    read: (_, work) => twemoji(16, work),
  },
} as const satisfies Readonly<Record<string, ImageKind>>;
export type ImageKindName = keyof typeof IMAGE_KINDS;

export interface SmallImages extends Pick<ImageKind, 'channels' | 'attention'> {
  readonly size: number;
  readonly training: DatasetSource;
  readonly heldOut: DatasetSource;
}

/** The archives of a kind of images in the work folder, made where they aren't there. */
export async function smallImages(name: ImageKindName, data: string, work: string): Promise<SmallImages> {
  const kind: ImageKind = IMAGE_KINDS[name];
  const { size, channels, attention } = kind;
  const pathOf = (part: string) => join(work, 'images', `${name}-${part}.npz`);
  const [training, heldOut] = [pathOf('training'), pathOf('held-out')];
  if (!(await exists(heldOut))) {
    await mkdir(join(work, 'images'), { recursive: true });
    const images = await kind.read(data, work);
    if (images.length <= kind.heldOut)
      throw new Error(`${name} in ${data}: wanted more than ${kind.heldOut} images; got ${images.length}`);
    await writeImages(training, images.slice(0, -kind.heldOut), size);
    await writeImages(heldOut, images.slice(-kind.heldOut), size);
  }
  const source = (location: string): DatasetSource => ({ kind: 'npz', location, classes: false });
  return { size, channels, attention, training: source(training), heldOut: source(heldOut) };
}

export function openSmall(
  { size, channels }: SmallImages,
  source: DatasetSource,
  work: string,
): Promise<Dataset> {
  return openDataset(
    { source, imageSize: size, channels },
    { cacheFolder: datasetCache(work), access: ANYWHERE },
  );
}

const ANYWHERE = { local: { roots: undefined } };

export const datasetCache = (work: string): string => join(work, 'datasets');

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Images in the rows of PNG files, as tfjs's examples keep them: a row of pixels is an image. */
interface ImageRows {
  /** Where under the data folder, and what the files' names begin with. */
  readonly folder: string;
  readonly prefix: string;
  /** Width and height in the files. */
  readonly side: number;
  /** What is averaged into one pixel: blocks of so many by so many. */
  readonly block: number;
  /** More are not read. */
  readonly most: number;
}

/** Reads block means, in the order of the files' numbers. */
function imageRows({ folder, prefix, side, block, most }: ImageRows): ImageKind['read'] {
  return async (data) => {
    const numberOf = (name: string) => Number(/(\d+)\.png$/.exec(name)?.[1] ?? NaN);
    const files = (await readdir(join(data, folder)))
      .filter((name) => name.startsWith(prefix) && name.endsWith('.png'))
      .sort((a, b) => numberOf(a) - numberOf(b));
    const images: Uint8Array[] = [];
    for (const file of files) {
      const { pixels, shape } = await decodeWhole(await readFile(join(data, folder, file)));
      if (shape.width !== side * side)
        throw new Error(`${file}: wanted rows of ${side * side} pixels; got ${shape.width}`);
      for (let row = 0; row < shape.height && images.length < most; row++)
        images.push(
          blockMeans(pixels.subarray(row * side * side * 3, (row + 1) * side * side * 3), side, block),
        );
    }
    return images;
  };
}

/** The emoji that come with the project, shuffled: neighbours look alike, and the last ones are held out. */
async function twemoji(size: number, work: string): Promise<Uint8Array[]> {
  const config = { source: { kind: 'twemoji' }, imageSize: size, channels: 3 } as const;
  const dataset = await openDataset(config, { cacheFolder: datasetCache(work), access: ANYWHERE });
  try {
    const order = permutation(deriveKey(0n, 'emoji of the studies'), [], dataset.length);
    const pixels = await dataset.read(order);
    const each = size * size * 3;
    return Array.from(order, (_, i) => pixels.slice(i * each, (i + 1) * each));
  } finally {
    await dataset.close();
  }
}

/** An image [side, side, 3] in which each pixel is the rounded mean of a block of the other's. */
export function blockMeans(pixels: Uint8Array, side: number, block: number): Uint8Array {
  const size = side / block;
  const means = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++)
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let dy = 0; dy < block; dy++)
          for (let dx = 0; dx < block; dx++)
            sum += pixels[((y * block + dy) * side + x * block + dx) * 3 + channel] ?? NaN;
        means[(y * size + x) * 3 + channel] = Math.round(sum / block ** 2);
      }
  return means;
}

function writeImages(path: string, images: readonly Uint8Array[], size: number): Promise<void> {
  const array = { name: 'arr_0', dtype: '|u1', shape: [images.length, size, size, 3] } as const;
  return writeNpz(path, [{ ...array, values: () => images }]);
}
