/** Files whose content is used while they change: certificates, keys and identities. */

import { readFile, stat } from 'node:fs/promises';

import { DiffusionError } from '../foundation/index.js';

export interface WatchedFiles<T> {
  /** What the files said when they were last usable. */
  readonly current: () => T;
  /** Calls back with each new value. */
  readonly onChange: (listener: (value: T) => void) => void;
  readonly close: () => void;
}

export interface WatchOptions<T> {
  readonly paths: readonly string[];
  /** @throws for content that can't be used; the value before stays in use then. */
  readonly parse: (contents: readonly Buffer[]) => T;
  readonly everyMs: number;
  /** Called once for each new content that can't be used. The error holds no content of the files. */
  readonly onUnusable: (error: DiffusionError) => void;
}

/** Certificates with their chains, and some thousands of identities. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Reads the files together now and then, and again when any of them changes. They are read whole each time and not by a
 * watch of the file system: a mounted secret is exchanged by a link above it, which such a watch doesn't see.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) where they can't be used at the start.
 */
export async function watchFiles<T>({
  paths,
  parse,
  everyMs,
  onUnusable,
}: WatchOptions<T>): Promise<WatchedFiles<T>> {
  const listeners = new Set<(value: T) => void>();
  let seen = await readAll(paths);
  let value = parsed(seen);
  let refused = '';
  let reading = false;

  function parsed(contents: readonly Buffer[]): T {
    try {
      return parse(contents);
    } catch (error) {
      throw error instanceof DiffusionError ? error : unusable(paths, 'they are not what is wanted');
    }
  }

  async function look(): Promise<void> {
    try {
      const contents = await readAll(paths);
      if (contents.every((content, i) => seen[i]?.equals(content) === true)) return;
      // A file that is exchanged after another one may not fit it yet; the next look finds both.
      value = parsed(contents);
      seen = contents;
      refused = '';
      for (const listener of listeners) listener(value);
    } catch (error) {
      const problem = error instanceof DiffusionError ? error : unusable(paths, String(error));
      if (problem.message !== refused) onUnusable(problem);
      refused = problem.message;
    }
  }

  const timer = setInterval(() => {
    if (reading) return;
    reading = true;
    void look().finally(() => {
      reading = false;
    });
  }, everyMs).unref();

  return {
    current: () => value,
    onChange: (listener) => {
      listeners.add(listener);
    },
    close: () => {
      clearInterval(timer);
    },
  };
}

async function readAll(paths: readonly string[]): Promise<Buffer[]> {
  return Promise.all(
    paths.map(async (path) => {
      try {
        const { size } = await stat(path);
        if (size > MAX_BYTES) throw unusable([path], `it has more than ${MAX_BYTES} bytes`);
        return await readFile(path);
      } catch (error) {
        if (error instanceof DiffusionError) throw error;
        throw unusable([path], (error as NodeJS.ErrnoException).code ?? String(error));
      }
    }),
  );
}

/** @param why Without any content of the files. */
export function unusable(paths: readonly string[], why: string): DiffusionError {
  return new DiffusionError('CREDENTIALS_UNUSABLE', `${paths.join(', ')} can't be used: ${why}`);
}
