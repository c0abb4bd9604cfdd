/** NumPy archives as a source: all images in one array, their classes in another. */
import { createHash } from 'node:crypto';
import { decoderVersions, fitPixels, fittingRecipe, type ImageShape } from '../images/index.js';
import type { FoundFile } from '../store/index.js';
import type { ImageSource } from './image-source.js';
import { npzFault } from './npy.js';
import { describeArray, openNpz, type NpzFile } from './npz-file.js';
import { packImages, unlessRefused, type Candidate } from './pack-images.js';
import type { FilesContext } from './source-kind.js';

const ARCHIVE_NAME = /\.npz$/i;
const IMAGES = 'arr_0';
const CLASSES = 'arr_1';
const MAX_CLASSES = 4_000_000;
const MAX_CLASS = 99_999;

/** How whole numbers stand in an array: their bytes, and how one is read. */
const INTEGERS: ReadonlyMap<string, readonly [bytes: number, read: (view: DataView, at: number) => number]> =
  new Map([
    ['|u1', [1, (view, at) => view.getUint8(at)]],
    ['|i1', [1, (view, at) => view.getInt8(at)]],
    ['<u2', [2, (view, at) => view.getUint16(at, true)]],
    ['<i2', [2, (view, at) => view.getInt16(at, true)]],
    ['<u4', [4, (view, at) => view.getUint32(at, true)]],
    ['<i4', [4, (view, at) => view.getInt32(at, true)]],
    ['<u8', [8, (view, at) => Number(view.getBigUint64(at, true))]],
    ['<i8', [8, (view, at) => Number(view.getBigInt64(at, true))]],
  ]);

/**
 * Finds the archives; they are read when the images are prepared.
 * Source: scripts/image_sample.py, `main`: numpy.savez of the images, and of the labels where there are some.
 */
export async function npzArchives(context: FilesContext, classes: boolean): Promise<ImageSource> {
  const { files: source, imageSize, channels, signal } = context;
  const { files, skipped } = await source.list((name) => ARCHIVE_NAME.test(name), { signal });
  const how = ['npz', fittingRecipe, decoderVersions, imageSize, channels, classes];
  const key = createHash('sha256').update(JSON.stringify([...how, source.description, files, skipped]));
  return {
    fingerprint: key.digest('hex'),
    prepare: (outputPath, onProgress, stop) =>
      packImages(candidatesOf(files, context, classes, stop), {
        ...{ outputPath, preparation: `npz, ${fittingRecipe}`, numbered: true, skipped, total: undefined },
        ...{ onProgress, signal: stop },
      }),
  };
}

async function* candidatesOf(
  archives: readonly FoundFile[],
  context: FilesContext,
  classes: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Candidate, void, undefined> {
  for (const archive of archives) yield* imagesOf(archive, context, classes, signal);
}

async function* imagesOf(
  archive: FoundFile,
  context: FilesContext,
  classes: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Candidate, void, undefined> {
  const npz = await openNpz(context.files, archive, signal);
  const labels = classes ? await readClasses(npz) : undefined;
  const { count, shape, pixels } = await npz.images();
  if (labels !== undefined && labels.length !== count)
    throw npzFault(npz.pathOf(CLASSES), `a class for each of ${count} images`, labels.length);
  let index = 0;
  for await (const image of pixels()) {
    const path = `${npz.pathOf(IMAGES)}[${index}]`;
    yield { path, className: labels?.[index]?.toString(), load: () => load(image, shape, context) };
    index++;
  }
}

function load(pixels: Uint8Array, shape: ImageShape, context: FilesContext): ReturnType<Candidate['load']> {
  return unlessRefused(async () => ({
    sha256: createHash('sha256').update(pixels).digest('hex'),
    ...{ width: shape.width, height: shape.height },
    pixels: await fitPixels(pixels, shape, context),
  }));
}

async function readClasses(npz: NpzFile): Promise<number[]> {
  const name = npz.pathOf(CLASSES);
  const array = await npz.array(CLASSES);
  const { dtype, shape } = array;
  const [bytes, read] = INTEGERS.get(dtype) ?? [];
  const [count = 0] = shape;
  if (read === undefined || bytes === undefined || shape.length !== 1)
    throw npzFault(name, 'integers of shape [N]', describeArray(array));
  if (count > MAX_CLASSES) throw npzFault(name, `at most ${MAX_CLASSES} classes`, count);
  array.checkBytes(count * bytes);
  const values = await array.reader.take(count * bytes);
  await array.checkEnd();
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  return Array.from({ length: count }, (_, index) => {
    const label = read(view, index * bytes);
    if (label >= 0 && label <= MAX_CLASS) return label;
    throw npzFault(`${name}[${index}]`, `a class from 0 to ${MAX_CLASS}`, label);
  });
}
