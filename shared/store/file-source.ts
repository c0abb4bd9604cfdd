/** Files that others wrote, under any names: found, and read in parts. Nothing here writes. */

import { describeValue, DiffusionError, type Reason } from '../foundation/index.js';
import type { CallOptions } from './object-store.js';

/** A file as it was when it was found. */
export interface FoundFile {
  /** Relative to where the source looks, its folders parted by `/`. */
  readonly path: string;
  /** Opaque; where the source finds it again. */
  readonly place: string;
  readonly size: number;
  /** Opaque; another one where the file has changed. */
  readonly version: string;
}

/** Why a file that was looked for can't be one. */
export type FileProblem = 'NOT_A_FILE' | 'LINK_BROKEN' | 'LINK_OUTSIDE' | 'LINK_TO_FOLDER' | 'UNREADABLE';

export interface FileListing {
  /** In the byte order of their paths. */
  readonly files: readonly FoundFile[];
  readonly skipped: readonly { readonly path: string; readonly reason: FileProblem }[];
}

/** A part of a file, in bytes. */
export interface FilePart {
  readonly start: number;
  readonly length: number;
}

/**
 * A folder, or one file of it, that is only read.
 *
 * Every method may fail with UNAVAILABLE or FAILED_PRECONDITION as a store's do, and with CANCELLED by its signal.
 */
export interface FileSource {
  /** Where the files are, for people; holds no secret. */
  readonly description: string;
  /** Whether there is anything to look through, at the cost of one question. @throws NOT_FOUND. */
  check(options?: CallOptions): Promise<void>;
  /**
   * Finds the files, at any depth, whose last name is accepted. Names that begin with a dot are skipped. No file is
   * opened.
   *
   * @throws NOT_FOUND; FAILED_PRECONDITION (reason FILES_TOO_MANY).
   */
  list(accepts: (name: string) => boolean, options?: CallOptions): Promise<FileListing>;
  /**
   * The bytes of a part that lies inside the file.
   *
   * @throws FAILED_PRECONDITION (reasons FILE_CHANGED: it is gone or another one, FILE_UNREADABLE).
   */
  read(file: FoundFile, part: FilePart, options?: CallOptions): Promise<Uint8Array>;
  /** Frees connections; no call may follow. */
  close(): Promise<void>;
}

/** Listings are held in memory; this many take about a gigabyte. */
const MAX_FILES = 4_000_000;

/** @throws FAILED_PRECONDITION (reason FILES_TOO_MANY) past the most that is listed. */
export function checkFileCount(count: number, description: string): void {
  if (count <= MAX_FILES) return;
  const message = `${description}: wanted at most ${MAX_FILES} files; got more`;
  throw new DiffusionError('FILES_TOO_MANY', message);
}

export function fileChanged(file: FoundFile, description: string, cause?: unknown): DiffusionError {
  return fileError('FILE_CHANGED', file, description, 'it changed after it was listed', cause);
}

export function fileUnreadable(file: FoundFile, description: string, cause: unknown): DiffusionError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return fileError('FILE_UNREADABLE', file, description, why, cause);
}

function fileError(
  reason: Extract<Reason, 'FILE_CHANGED' | 'FILE_UNREADABLE'>,
  { path }: FoundFile,
  description: string,
  text: string,
  cause: unknown,
): DiffusionError {
  const message = `${description}: read ${describeValue(path)}: ${text}`;
  return new DiffusionError(reason, message, { metadata: { path }, cause });
}

/** Bytes asked for at once where a whole file is read. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** The bytes of a part of a file in order; while one piece is used the next one is on its way. */
export async function* piecesOf(
  source: FileSource,
  file: FoundFile,
  { start, length }: FilePart,
  options: CallOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const read = (done: number): Promise<Uint8Array> | undefined => {
    if (done >= length) return undefined;
    const part = { start: start + done, length: Math.min(PIECE_BYTES, length - done) };
    const piece = source.read(file, part, options);
    // It may fail while nobody waits for it yet, or any more; the failure is thrown at its turn.
    piece.catch(() => undefined);
    return piece;
  };
  let next = read(0);
  for (let done = PIECE_BYTES; next !== undefined; done += PIECE_BYTES) {
    const piece = await next;
    next = read(done);
    yield piece;
  }
}

/** Where a path ends in a file of that kind: its folder and its name; else the path as a folder. */
export function splitFile(
  path: string,
  extension: string | undefined,
): { readonly folder: string; readonly only?: string } {
  if (extension === undefined || !path.toLowerCase().endsWith(extension)) return { folder: path };
  const end = path.lastIndexOf('/');
  return { folder: path.slice(0, end + 1), only: path.slice(end + 1) };
}
