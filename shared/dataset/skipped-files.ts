/** Files that could not be used, counted by reason. */
import { compareUtf8 } from './byte-order.js';

/** The reasons of the dataset room; a decoder's reason (IMAGE_DAMAGED and its kin) counts as it is. */
export type SkipReason =
  | 'NOT_A_FILE'
  | 'LINK_BROKEN'
  | 'LINK_OUTSIDE'
  | 'LINK_TO_FOLDER'
  | 'UNREADABLE'
  | 'FILE_TOO_LARGE'
  | 'NO_CLASS_FOLDER';

export interface SkippedFile {
  /** Relative to the data set's folder. */
  readonly path: string;
  readonly reason: string;
}

export interface SkippedFiles {
  readonly reason: string;
  readonly count: number;
  /** The first paths in byte order, at most 20. */
  readonly examples: readonly string[];
}

const MAX_EXAMPLES = 20;

/** Groups files by reason, both in byte order. */
export function countByReason(files: readonly SkippedFile[]): SkippedFiles[] {
  const byReason = new Map<string, string[]>();
  for (const { path, reason } of files) {
    const paths = byReason.get(reason);
    if (paths === undefined) byReason.set(reason, [path]);
    else paths.push(path);
  }
  return [...byReason.entries()]
    .sort(([a], [b]) => compareUtf8(a, b))
    .map(([reason, paths]) => ({
      reason,
      count: paths.length,
      examples: paths.sort(compareUtf8).slice(0, MAX_EXAMPLES),
    }));
}
