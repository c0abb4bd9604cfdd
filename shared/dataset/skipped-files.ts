/** Files that could not be used, counted by reason. */
import { compareUtf8 } from '../foundation/index.js';
import type { FileProblem } from '../store/index.js';

/** The reasons of this room and of finding files; a decoder's reason (IMAGE_DAMAGED and its kin) counts as it is. */
export type SkipReason =
  | FileProblem
  | 'FILE_CHANGED'
  | 'FILE_TOO_LARGE'
  | 'NO_CLASS_FOLDER'
  | 'NO_CLASS'
  | 'NAME_UNUSABLE'
  | 'SECOND_IMAGE'
  | `IMAGE_${string}`;

export interface SkippedFile {
  /** Relative to where the data set is. */
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
