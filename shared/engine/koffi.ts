/** Calls of native libraries, set up before the first library is loaded: later it can't be. */
import { closeSync, openSync } from 'node:fs';
import { devNull, platform } from 'node:os';

import koffi, { type LibraryHandle } from 'koffi';

// Of a call on another thread. Compilers recurse deeply, and would have 128 KiB. Pages that nothing touches take no memory.
koffi.config({ async_stack_size: 16 * 1024 ** 2 });

const RTLD_NOW = 2;
const RTLD_NODELETE = platform() === 'darwin' ? 0x80 : 0x1000;

let open: ((file: string, flags: number) => unknown) | undefined;

/**
 * Loads a library that stays until the process has ended. koffi unloads its libraries when Node ends, while threads that
 * they started may still run: the process would crash at its end.
 *
 * @throws Error where it can't be loaded.
 */
export function loadLibrary(file: string): LibraryHandle {
  const library = koffi.load(file);
  open ??= koffi.load(null).func('void *dlopen(const char *file, int flags)');
  open(file, RTLD_NOW | RTLD_NODELETE);
  return library;
}

const STDERR = 2;

/** Runs `work`, which must not wait for anything, while what native code writes to stderr is lost. */
export function withoutStderr<T>(work: () => T): T {
  const c = koffi.load(null);
  const duplicate = c.func('int dup(int descriptor)') as (descriptor: number) => number;
  const replace = c.func('int dup2(int from, int to)') as (from: number, to: number) => number;
  const kept = duplicate(STDERR);
  // Without a stderr, or with too many files open, there is nothing to hide or to put back.
  if (kept < 0) return work();
  const nowhere = openSync(devNull, 'w');
  try {
    replace(nowhere, STDERR);
    return work();
  } finally {
    replace(kept, STDERR);
    closeSync(nowhere);
    closeSync(kept);
  }
}

export default koffi;
