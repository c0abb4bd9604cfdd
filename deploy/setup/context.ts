/** Where a set-up works, how it prints progress, and what stops it. */
import { join } from 'node:path';

import { cacheFolder } from '../../shared/foundation/index.js';

export interface SetupContext {
  /** The checkout. */
  readonly root: string;
  /** Shared by all checkouts: libraries, compiled addons and test tools. */
  readonly cache: string;
  /** A folder with compiled libraries, which are used where they fit; undefined for none. */
  readonly prebuilt?: string | undefined;
  /** Aborted by Ctrl-C; every child process and long loop ends with it. */
  readonly signal: AbortSignal;
  /** Prints one line of progress. */
  say(line: string): void;
}

/** For tests and benches, which take single things from the cache and are not interrupted. */
export function standaloneContext(say: (line: string) => void = () => undefined): SetupContext {
  return {
    root: join(import.meta.dirname, '..', '..'),
    cache: cacheFolder(process.env),
    signal: new AbortController().signal,
    say,
  };
}
