/** A user's folder of images as a source. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { DiffusionError } from '../foundation/index.js';
import { decodeImage, decoderVersions, decodingRecipe } from '../images/index.js';
import type { DatasetConfig } from './dataset-config.js';
import type { ImageSource, OnProgress } from './image-source.js';
import { listFolder } from './list-folder.js';
import type { ListedFile } from './list-folder.js';
import type { SourceContents, SourceImage } from './manifest.js';
import { mapInOrder } from './map-in-order.js';
import { countByReason } from './skipped-files.js';
import type { SkipReason, SkippedFile } from './skipped-files.js';

/** Larger files are skipped unread. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** As many as Node's thread pool decodes at once; with MAX_FILE_BYTES this bounds the memory. */
const DECODED_AT_ONCE = 4;

interface FolderOptions extends Omit<DatasetConfig, 'source'> {
  readonly path: string;
  readonly classFolders: boolean;
}

/**
 * Lists a folder; its images are read when they are prepared.
 *
 * @throws DiffusionError NOT_FOUND with reason DATASET_NOT_FOUND, or CANCELLED.
 */
export async function folderSource(options: FolderOptions, signal?: AbortSignal): Promise<ImageSource> {
  const { files, skipped } = await listFolder(options.path, signal);
  const { imageSize, channels, classFolders } = options;
  const key = createHash('sha256');
  key.update(
    JSON.stringify([decodingRecipe, decoderVersions, imageSize, channels, classFolders, MAX_FILE_BYTES]),
  );
  for (const { path, realPath, version } of files) key.update(JSON.stringify([path, realPath, version]));
  for (const file of skipped) key.update(JSON.stringify(file));
  return {
    fingerprint: key.digest('hex'),
    prepare: (outputPath, onProgress, stop) =>
      prepare({ files, skipped }, options, outputPath, onProgress, stop),
  };
}

async function prepare(
  listing: Awaited<ReturnType<typeof listFolder>>,
  options: FolderOptions,
  outputPath: string,
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<SourceContents> {
  const images: SourceImage[] = [];
  const skipped = [...listing.skipped];
  const total = listing.files.length;
  const output = await open(outputPath, 'w');
  try {
    let done = 0;
    for await (const result of mapInOrder(listing.files, DECODED_AT_ONCE, (file) => load(file, options))) {
      if (signal?.aborted === true)
        throw new DiffusionError('CANCELLED', 'reading the data set was cancelled');
      if (result.kind === 'skipped') skipped.push(result.file);
      else {
        images.push(result.image);
        await output.writeFile(result.pixels);
      }
      onProgress({ done: ++done, total });
    }
    await output.sync();
  } finally {
    await output.close();
  }
  return { preparation: decodingRecipe, images, skipped: countByReason(skipped) };
}

type Loaded =
  | { readonly kind: 'image'; readonly image: SourceImage; readonly pixels: Uint8Array }
  | { readonly kind: 'skipped'; readonly file: SkippedFile };

async function load(file: ListedFile, options: FolderOptions): Promise<Loaded> {
  const skip = (reason: string): Loaded => ({ kind: 'skipped', file: { path: file.path, reason } });
  const className = options.classFolders ? topFolder(file.path) : undefined;
  if (options.classFolders && className === undefined) return skip('NO_CLASS_FOLDER' satisfies SkipReason);
  const bytes = await readBounded(file);
  if (typeof bytes === 'string') return skip(bytes);
  try {
    const { pixels, sourceWidth: width, sourceHeight: height } = await decodeImage(bytes, options);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return {
      kind: 'image',
      pixels,
      image: { sha256, width, height, ...(className !== undefined && { className }) },
    };
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'INVALID_ARGUMENT') return skip(error.reason);
    throw error;
  }
}

async function readBounded({ realPath, sizeBytes }: ListedFile): Promise<Uint8Array | SkipReason> {
  if (sizeBytes > MAX_FILE_BYTES) return 'FILE_TOO_LARGE';
  try {
    // Without blocking and checked again once open: the name may lead elsewhere by now, even to a pipe.
    const handle = await open(realPath, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    try {
      const found = await handle.stat();
      if (!found.isFile()) return 'NOT_A_FILE';
      if (found.size > MAX_FILE_BYTES) return 'FILE_TOO_LARGE';
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch {
    return 'UNREADABLE';
  }
}

function topFolder(path: string): string | undefined {
  const end = path.indexOf('/');
  return end === -1 ? undefined : path.slice(0, end);
}
