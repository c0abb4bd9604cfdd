/** The images of one Generate call as files: each image, a picture of all, and provenance.json. */

import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { ImageAssembly, imageFormats, samplerWire, type samplingWire } from '../../shared/contract/index.js';
import { decodeImage, imageGrid, type Channels } from '../../shared/images/index.js';
import { given } from './given.js';
import { RAW_EXTENSION } from './picture-files.js';
import { removeRequest, removeToken, saveRequest, saveToken } from './resume-files.js';

export interface ImagePaths {
  /** The folder for the images and `provenance.json`. */
  readonly folder: string;
  /** The file for the picture of all images. */
  readonly gridPath?: string;
  /** An image's file name without its extension; model, seed and index where it is undefined. */
  readonly nameOf?: (index: number) => string;
  /** Saved with the first token, so that the images can be resumed. */
  readonly request?: samplerWire.NewImages | undefined;
}

export interface SavedImage {
  /** In the folder. */
  readonly file: string;
  readonly index: number;
  readonly seed: bigint;
  readonly sha256: string;
}

export interface ImageFiles {
  /** Images saved so far. */
  readonly count: number;
  /** The path of a preview once its last chunk has come. @throws DiffusionError DATA_LOSS where it is damaged. */
  savePreview(preview: samplerWire.Preview): Promise<string | undefined>;
  /** The path of an image's raw values after a step, once their last chunk has come. @throws as `savePreview`. */
  saveTrajectoryStep(step: samplerWire.TrajectoryStep): Promise<string | undefined>;
  /** Kept until the image is saved. */
  saveToken(token: samplerWire.ResumeToken): Promise<void>;
  /** An image once its last chunk has come. @throws DiffusionError DATA_LOSS where it is damaged. */
  saveImage(image: samplerWire.GeneratedImage): Promise<SavedImage | undefined>;
  /** Writes `provenance.json` on all images that came, in the order of their indices; true where a grid was written. */
  finish(completed: samplerWire.Completed | undefined): Promise<boolean>;
}

/** With more images the picture would be too large for many viewers. */
const MAX_GRID_IMAGES = 256;
const GRID_IMAGE_PIXELS = 96;

export async function openImageFiles(
  { folder, gridPath, request, ...paths }: ImagePaths,
  accepted: samplerWire.Accepted,
): Promise<ImageFiles> {
  const series = seriesOf(accepted);
  const nameOf = paths.nameOf ?? ((index) => `${series}-${String(index).padStart(6, '0')}`);
  await mkdir(folder, { recursive: true });
  if (gridPath !== undefined) await mkdir(dirname(gridPath), { recursive: true });
  const format = imageFormats.read(accepted.format) ?? 'png';
  const extension = format === 'raw_float32' ? RAW_EXTENSION : `.${format}`;
  const stem = (index: number): string => join(folder, nameOf(index));
  let requestSaved: Promise<void> | undefined;
  const saved: SavedImage[] = [];
  const parts = new Map<string, ImageAssembly>();
  const assemble = (key: string, chunk: samplingWire.ImageChunk | undefined): Buffer | undefined => {
    const assembly = parts.get(key) ?? new ImageAssembly();
    parts.set(key, assembly);
    const bytes = assembly.add(given(chunk));
    if (bytes !== undefined) parts.delete(key);
    return bytes;
  };
  return {
    get count() {
      return saved.length;
    },
    savePreview: async ({ index, step, chunk }) => {
      const bytes = assemble(`preview ${index}`, chunk);
      if (bytes === undefined) return undefined;
      return written(`${stem(index)}-step-${step}.png`, bytes);
    },
    saveTrajectoryStep: async ({ index, step, chunk }) => {
      const bytes = assemble(`trajectory ${index} ${step}`, chunk);
      return bytes && written(`${stem(index)}-step-${step}${RAW_EXTENSION}`, bytes);
    },
    saveToken: async ({ index, token }) => {
      if (request !== undefined) await (requestSaved ??= saveRequest(join(folder, series), request));
      await saveToken(stem(index), token);
    },
    saveImage: async ({ index, seed, chunk }) => {
      const bytes = assemble(`image ${index}`, chunk);
      if (bytes === undefined) return undefined;
      const file = `${nameOf(index)}${extension}`;
      await writeFile(join(folder, file), bytes);
      const image = { file, index, seed, sha256: createHash('sha256').update(bytes).digest('hex') };
      await removeToken(stem(index));
      saved.push(image);
      return image;
    },
    finish: async (completed) => {
      if (completed !== undefined) await removeRequest(join(folder, series));
      if (saved.length === 0) return false;
      // They come as they are finished, which may be in any order.
      const inOrder = saved.toSorted((a, b) => a.index - b.index);
      await writeFile(join(folder, 'provenance.json'), provenance(accepted, inOrder, completed));
      // Raw values are numbers for other programs, not pictures.
      if (format === 'raw_float32' || gridPath === undefined) return false;
      const { width } = accepted;
      const channels = accepted.channels === 1 ? 1 : 3;
      const pixels = inOrder.slice(0, MAX_GRID_IMAGES).map(async ({ file }) => {
        const bytes = await readFile(join(folder, file));
        return (await decodeImage(bytes, { imageSize: width, channels })).pixels;
      });
      await writeFile(gridPath, await gridOf(await Promise.all(pixels), width, channels));
      return true;
    },
  };
}

async function written(path: string, bytes: Buffer): Promise<string> {
  await writeFile(path, bytes);
  return path;
}

/** A square picture of `[size, size, channels]` uint8 images, each enlarged so that it can be seen. */
export function gridOf(images: readonly Uint8Array[], size: number, channels: Channels): Promise<Uint8Array> {
  const columns = Math.ceil(Math.sqrt(images.length));
  const scale = Math.max(1, Math.round(GRID_IMAGE_PIXELS / size));
  return imageGrid(images, { size, channels, columns, scale, gap: 4 });
}

function seriesOf({ checkpoint, seed }: samplerWire.Accepted): string {
  return `${checkpoint?.model ?? 'image'}-${seed}`;
}

/** All that is needed to sample the same images again. */
function provenance(
  accepted: samplerWire.Accepted,
  images: readonly SavedImage[],
  completed: samplerWire.Completed | undefined,
): string {
  const content = {
    accepted: samplerWire.Accepted.toJSON(accepted),
    images: images.map((image) => ({ ...image, seed: image.seed.toString() })),
    ...(completed !== undefined && { completed: samplerWire.Completed.toJSON(completed) }),
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}
