/** Image files, a file an image, as a source. */
import { createHash } from 'node:crypto';
import { DiffusionError } from '../foundation/index.js';
import { decoderVersions, decodingRecipe } from '../images/index.js';
import type { FileSource, FoundFile } from '../store/index.js';
import type { ImageSource } from './image-source.js';
import { loadEncoded, MAX_IMAGE_BYTES, packImages, type Candidate } from './pack-images.js';
import type { SkipReason } from './skipped-files.js';
import type { FilesContext } from './source-kind.js';

const IMAGE_NAME = /\.(?:png|jpe?g|webp)$/i;

/**
 * Finds the files that are named .png, .jpg, .jpeg or .webp, in any case; they are read when they are prepared.
 *
 * @param classFolders Whether the first-level folders name the classes.
 */
export async function imageFiles(context: FilesContext, classFolders: boolean): Promise<ImageSource> {
  const { files: source, imageSize, channels, signal } = context;
  const { files, skipped } = await source.list((name) => IMAGE_NAME.test(name), { signal });
  const key = createHash('sha256');
  key.update(
    JSON.stringify([decodingRecipe, decoderVersions, imageSize, channels, classFolders, MAX_IMAGE_BYTES]),
  );
  key.update(source.description);
  for (const { path, place, version } of files) key.update(JSON.stringify([path, place, version]));
  for (const file of skipped) key.update(JSON.stringify(file));
  return {
    fingerprint: key.digest('hex'),
    prepare: (outputPath, onProgress, stop) =>
      packImages(candidatesOf(files, classFolders, context, stop), {
        ...{ outputPath, preparation: decodingRecipe, skipped, total: files.length, onProgress },
        signal: stop,
      }),
  };
}

function* candidatesOf(
  files: readonly FoundFile[],
  classFolders: boolean,
  context: FilesContext,
  signal: AbortSignal | undefined,
): Generator<Candidate, void, undefined> {
  for (const file of files) {
    const { path } = file;
    const className = classFolders ? topFolder(path) : undefined;
    yield {
      path,
      className,
      async load() {
        if (classFolders && className === undefined) return 'NO_CLASS_FOLDER';
        const bytes = await readWhole(context.files, file, signal);
        return typeof bytes === 'string' ? bytes : loadEncoded(bytes, context);
      },
    };
  }
}

/** A file that went, changed or can't be read is skipped; a place that can't be reached ends the work. */
async function readWhole(
  source: FileSource,
  file: FoundFile,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | SkipReason> {
  if (file.size > MAX_IMAGE_BYTES) return 'FILE_TOO_LARGE';
  try {
    return await source.read(file, { start: 0, length: file.size }, { signal });
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    if (error.reason === 'FILE_CHANGED') return 'FILE_CHANGED';
    if (error.reason === 'FILE_UNREADABLE') return 'UNREADABLE';
    throw error;
  }
}

function topFolder(path: string): string | undefined {
  const end = path.indexOf('/');
  return end === -1 ? undefined : path.slice(0, end);
}
