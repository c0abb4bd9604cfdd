/** Images one after the other -> one file of pixels, and what was found. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { DiffusionError, mapInOrder, throwIfAborted } from '../foundation/index.js';
import { decodeImage } from '../images/index.js';
import type { ImageSettings } from './image-settings.js';
import type { OnProgress } from './image-source.js';
import type { SourceContents, SourceImage } from './manifest.js';
import { countByReason, type SkipReason, type SkippedFile } from './skipped-files.js';

/** Larger files are skipped unread. */
export const MAX_IMAGE_BYTES = 64 * 1024 * 1024;

/** As many as Node's thread pool decodes at once; with MAX_IMAGE_BYTES this bounds the memory. */
const DECODED_AT_ONCE = 4;

export interface LoadedImage extends Omit<SourceImage, 'className'> {
  readonly pixels: Uint8Array;
}

/** What may be an image. */
export interface Candidate {
  /** Where it is in the source, for people. */
  readonly path: string;
  readonly className?: string | undefined;
  /** The image, or why it is skipped. Called once, a few candidates ahead of the one that is written. */
  load(): Promise<LoadedImage | SkipReason>;
}

export interface PackOptions {
  readonly outputPath: string;
  /** Names the way from the source's bytes to pixels. */
  readonly preparation: string;
  /** Whether classes are numbers from 0 on. */
  readonly numbered?: boolean;
  /** What was skipped already. */
  readonly skipped: readonly SkippedFile[];
  /** How many candidates there are; undefined where that shows at the end only. */
  readonly total: number | undefined;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
}

/** Writes the pixels of all candidates that are images, in order. @throws what the candidates throw; CANCELLED. */
export async function packImages(
  candidates: Iterable<Candidate> | AsyncIterable<Candidate>,
  { outputPath, preparation, numbered = false, total, onProgress, signal, ...options }: PackOptions,
): Promise<SourceContents> {
  const images: SourceImage[] = [];
  const skipped = [...options.skipped];
  const output = await open(outputPath, 'w');
  try {
    let done = 0;
    for await (const { candidate, loaded } of mapInOrder(candidates, DECODED_AT_ONCE, loadOf)) {
      throwIfAborted(signal, 'reading the data set');
      if (typeof loaded === 'string') skipped.push({ path: candidate.path, reason: loaded });
      else {
        const { pixels, ...image } = loaded;
        const { className } = candidate;
        images.push(className === undefined ? image : { ...image, className });
        await output.writeFile(pixels);
      }
      onProgress({ done: ++done, total });
    }
    await output.sync();
  } finally {
    await output.close();
  }
  return { preparation, images, numbered, skipped: countByReason(skipped) };
}

async function loadOf(candidate: Candidate) {
  return { candidate, loaded: await candidate.load() };
}

/** A PNG, JPEG or WebP as it is packed, or why the decoder refuses it. */
export async function loadEncoded(
  bytes: Uint8Array,
  settings: ImageSettings,
): Promise<LoadedImage | SkipReason> {
  const image = await unlessRefused(() => decodeImage(bytes, settings));
  if (typeof image === 'string') return image;
  const { pixels, sourceWidth: width, sourceHeight: height } = image;
  return { sha256: createHash('sha256').update(bytes).digest('hex'), width, height, pixels };
}

/** What `decode` gives, or the reason for which it refuses an image. */
export async function unlessRefused<T>(decode: () => Promise<T>): Promise<T | SkipReason> {
  try {
    return await decode();
  } catch (error) {
    // IMAGE_DAMAGED and its kin.
    if (error instanceof DiffusionError && error.code === 'INVALID_ARGUMENT')
      return error.reason as SkipReason;
    throw error;
  }
}
