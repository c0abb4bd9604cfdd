/** The images of the studies with training: small, by block means, some for training and others that are held out. */
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { openDataset, writeNpz, type Dataset, type DatasetSource } from '../../shared/dataset/index.js';
import { decodeWhole } from '../../shared/images/index.js';

/** Images in the rows of PNG files, as tfjs's examples keep them: a row of pixels is an image. */
interface ImageKind {
  /** Where under the data folder, and what the files' names begin with. */
  readonly folder: string;
  readonly prefix: string;
  /** Width and height in the files. */
  readonly side: number;
  /** What is averaged into one pixel: blocks of so many by so many. */
  readonly block: number;
  readonly channels: 1 | 3;
  /** Heights of the levels at which a network of theirs, which has two levels, has attention. */
  readonly attention: readonly number[];
  /** Images that no network is trained on: the last ones. */
  readonly heldOut: number;
  /** More are not read. */
  readonly most: number;
}

export const IMAGE_KINDS = {
  'cifar-8': {
    ...{ folder: 'cifar10', prefix: 'cifar10_batch_', side: 32, block: 4, channels: 3 },
    attention: [8, 4],
    ...{ heldOut: 1000, most: 4000 },
  },
  'cifar-16': {
    ...{ folder: 'cifar10', prefix: 'cifar10_batch_', side: 32, block: 2, channels: 3 },
    attention: [8],
    ...{ heldOut: 1000, most: 4000 },
  },
  'digits-14': {
    ...{ folder: 'mnist', prefix: 'mnist_batch_', side: 28, block: 2, channels: 1 },
    attention: [7],
    ...{ heldOut: 4000, most: 24_000 },
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
  const size = kind.side / kind.block;
  const pathOf = (part: string) => join(work, 'images', `${name}-${part}.npz`);
  const [training, heldOut] = [pathOf('training'), pathOf('held-out')];
  if (!(await exists(heldOut))) {
    await mkdir(join(work, 'images'), { recursive: true });
    const images = await readRows(kind, data);
    if (images.length <= kind.heldOut)
      throw new Error(
        `${join(data, kind.folder)}: wanted more than ${kind.heldOut} images; got ${images.length}`,
      );
    await writeImages(training, images.slice(0, -kind.heldOut), size);
    await writeImages(heldOut, images.slice(-kind.heldOut), size);
  }
  const source = (location: string): DatasetSource => ({ kind: 'npz', location, classes: false });
  const { channels, attention } = kind;
  return { size, channels, attention, training: source(training), heldOut: source(heldOut) };
}

export function openSmall(
  { size, channels }: SmallImages,
  source: DatasetSource,
  work: string,
): Promise<Dataset> {
  return openDataset(
    { source, imageSize: size, channels },
    { cacheFolder: datasetCache(work), access: { local: { roots: undefined } } },
  );
}

export const datasetCache = (work: string): string => join(work, 'datasets');

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Block means, [size, size, 3] uint8 each, in the order of the files' numbers. */
async function readRows(
  { folder, prefix, side, block, most }: ImageKind,
  data: string,
): Promise<Uint8Array[]> {
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
