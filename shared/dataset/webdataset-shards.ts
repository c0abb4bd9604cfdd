/** Shards of WebDataset as a source: samples of files with one key, read as the bytes come. */
import { createHash } from 'node:crypto';
import { shortened } from '../foundation/index.js';
import { decoderVersions, decodingRecipe } from '../images/index.js';
import { piecesOf, type FoundFile } from '../store/index.js';
import type { ImageSource } from './image-source.js';
import { loadEncoded, MAX_IMAGE_BYTES, packImages, type Candidate } from './pack-images.js';
import type { SkipReason } from './skipped-files.js';
import type { FilesContext } from './source-kind.js';
import { tarEntries, type TarEntry } from './tar-entries.js';

const SHARD_NAME = /\.tar$/i;

/**
 * The key, and what stands behind its dot. Names that begin with a dot, and what lies in `__name__`, are no samples.
 * Source: webdataset/tariterators.py, `base_plus_ext` and `tar_file_iterator`.
 */
const SAMPLE_NAME = /^(?!__[^/]*__\/)((?:.*\/)?[^./]+)\.([^/]*)$/s;
const IMAGE_ENDINGS: ReadonlySet<string> = new Set(['png', 'jpg', 'jpeg', 'webp']);
const CLASS_ENDING = 'cls';
const CLASS = /^\s*(\d{1,5})\s*$/;
const MAX_CLASS_BYTES = 64;
const MAX_NAME = 1024;
/** How many characters of a name that can not be used are shown. */
const SHOWN_OF_NAME = 200;

/** What belongs to one key, as far as it has come. */
interface Sample {
  readonly key: string;
  image?: { readonly path: string; readonly found: Uint8Array | SkipReason };
  /** Text of its .cls. */
  classText?: string;
}

/** Finds the shards; their bytes are read when the images are prepared. */
export async function webdatasetShards(context: FilesContext, classes: boolean): Promise<ImageSource> {
  const { files: source, imageSize, channels, signal } = context;
  const { files, skipped } = await source.list((name) => SHARD_NAME.test(name), { signal });
  const how = ['webdataset', decodingRecipe, decoderVersions, imageSize, channels, classes, MAX_IMAGE_BYTES];
  const key = createHash('sha256').update(JSON.stringify([...how, source.description, files, skipped]));
  return {
    fingerprint: key.digest('hex'),
    prepare: (outputPath, onProgress, stop) =>
      packImages(candidatesOf(files, context, classes, stop), {
        ...{ outputPath, preparation: decodingRecipe, numbered: true, skipped, total: undefined },
        ...{ onProgress, signal: stop },
      }),
  };
}

async function* candidatesOf(
  shards: readonly FoundFile[],
  context: FilesContext,
  classes: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Candidate, void, undefined> {
  for (const shard of shards) {
    const pieces = piecesOf(context.files, shard, { start: 0, length: shard.size }, { signal });
    let sample: Sample | undefined;
    for await (const entry of tarEntries(shard.path, pieces, isWanted)) {
      const [, key, ending] = SAMPLE_NAME.exec(entry.path) ?? [];
      if (key === undefined || ending === undefined) continue;
      const isNew = key !== sample?.key;
      if (isNew && sample !== undefined) yield* candidateOf(shard, sample, context, classes);
      if (sample === undefined || isNew) sample = { key };
      const second = take(sample, entry, ending.toLowerCase());
      if (second !== undefined) yield skip(shard, entry.path, second);
    }
    if (sample !== undefined) yield* candidateOf(shard, sample, context, classes);
  }
}

function isWanted({ path, size }: TarEntry): boolean {
  const ending = (SAMPLE_NAME.exec(path)?.[2] ?? '').toLowerCase();
  if (ending === CLASS_ENDING) return size <= MAX_CLASS_BYTES;
  return IMAGE_ENDINGS.has(ending) && size <= MAX_IMAGE_BYTES && isUsableName(path);
}

/** Adds a file to its sample. Gives the reason where it is an image that has no place in it. */
function take(sample: Sample, { path, isFile, bytes }: TarEntry, ending: string): SkipReason | undefined {
  if (ending === CLASS_ENDING) sample.classText = bytes === undefined ? '' : Buffer.from(bytes).toString();
  if (!IMAGE_ENDINGS.has(ending)) return undefined;
  if (sample.image !== undefined) return 'SECOND_IMAGE';
  sample.image = { path, found: bytes ?? reasonOf(path, isFile) };
  return undefined;
}

function reasonOf(path: string, isFile: boolean): SkipReason {
  if (!isUsableName(path)) return 'NAME_UNUSABLE';
  return isFile ? 'FILE_TOO_LARGE' : 'NOT_A_FILE';
}

function* candidateOf(
  shard: FoundFile,
  { image, classText }: Sample,
  context: FilesContext,
  classes: boolean,
): Generator<Candidate, void, undefined> {
  if (image === undefined) return;
  const { path, found } = image;
  if (typeof found === 'string') {
    yield skip(shard, path, found);
    return;
  }
  const className = classes ? classOf(classText) : undefined;
  if (classes && className === undefined) yield skip(shard, path, 'NO_CLASS');
  else yield { path: shownPath(shard, path), className, load: () => loadEncoded(found, context) };
}

/** The number without leading zeros. */
function classOf(text: string | undefined): string | undefined {
  const [, digits] = CLASS.exec(text ?? '') ?? [];
  return digits === undefined ? undefined : String(Number(digits));
}

function skip(shard: FoundFile, path: string, reason: SkipReason): Candidate {
  return { path: shownPath(shard, path), load: () => Promise.resolve(reason) };
}

function shownPath(shard: FoundFile, path: string): string {
  return `${shard.path}/${shortened(path, SHOWN_OF_NAME)}`;
}

/** Nothing is ever written under a name. One that leads out of its folder is skipped all the same: the shard is suspect. */
function isUsableName(path: string): boolean {
  if (path.length > MAX_NAME || path.startsWith('/') || /[\u0000-\u001f\u007f]/.test(path)) return false;
  return !path.split(/[/\\]/).includes('..');
}
