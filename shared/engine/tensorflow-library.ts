/** The files of TensorFlow's native library, which tfjs's addon and the compiled engine share. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { env, platform } from 'node:process';

import type { LibraryHandle } from 'koffi';

import { DiffusionError } from '../foundation/index.js';
import { loadLibrary, withoutStderr } from './koffi.js';

const [FRAMEWORK, MAIN] =
  platform === 'darwin'
    ? (['libtensorflow_framework.2.dylib', 'libtensorflow_cc.2.dylib'] as const)
    : (['libtensorflow_framework.so.2', 'libtensorflow_cc.so.2'] as const);

/** The main library rests on the framework, which must be in the process first. @throws Error where it can't be loaded. */
export function loadTensorFlow(): LibraryHandle {
  loadFramework();
  return loadLibrary(join(folder(), MAIN));
}

/**
 * Loads what all of TensorFlow rests on. Its messages about the processor are hidden unless TF_CPP_MIN_LOG_LEVEL is 0. It
 * writes the first ones while it is being loaded, before it reads that variable.
 *
 * @throws Error where it can't be loaded.
 */
export function loadFramework(): void {
  env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  const load = () => loadLibrary(join(folder(), FRAMEWORK));
  if (env['TF_CPP_MIN_LOG_LEVEL'] === '0') load();
  else withoutStderr(load);
}

/** What a caller gets where the library can't be loaded. */
export function notLoaded(cause: unknown): DiffusionError {
  const text = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
  return new DiffusionError(
    'ENGINE_START',
    `TensorFlow's native library did not load; run \`npm run setup\` to provide it (${text.trim()})`,
    { cause, metadata: { remedy: 'npm run setup' } },
  );
}

function folder(): string {
  const manifest = createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json');
  return join(dirname(manifest), 'deps', 'lib');
}
