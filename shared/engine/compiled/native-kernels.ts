/** This project's own kernels, as operations of TensorFlow. Without them a graph runs on TensorFlow's alone. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { env } from 'node:process';

import { tf } from '../tf.js';

import { DiffusionError } from '../../foundation/index.js';
import { loadLibrary } from '../koffi.js';
import type { EnginePrecision, WithoutKernels } from '../module.js';
import type { Attributes } from './graph.js';
import { chosenBuild, KERNELS_VARIABLE, thisProcessor, type KernelDescription } from './kernel-builds.js';
import { kernelGeometry, type KernelGeometry } from './kernel-geometry.js';
import { tensorflowC } from './tensorflow-c.js';

export interface NativeKernels extends KernelGeometry {
  /** Floats of a vector, to whose multiples the kernels' channel counts are restricted. */
  readonly lanes: number;
  /** Of the build that is used: see `KernelBuild`. */
  readonly level: string;
  readonly revision: string;
}

let found: NativeKernels | WithoutKernels | undefined;

/** Registers the kernels, once a process; undefined where there are none (`withoutKernels` says why). */
export function nativeKernels(): NativeKernels | undefined {
  const kernels = lookedFor();
  return 'lanes' in kernels ? kernels : undefined;
}

/** Why the process doesn't use the kernels; undefined where it does. */
export function withoutKernels(): WithoutKernels | undefined {
  const kernels = lookedFor();
  return 'lanes' in kernels ? undefined : kernels;
}

/** Uses the kernels of a folder from now on, unless the process has some already. @throws as `createCompiledEngine`. */
export function useKernelsIn(folder: string): NativeKernels | WithoutKernels {
  found ??= kernelsIn(folder);
  return found;
}

function lookedFor(): NativeKernels | WithoutKernels {
  found ??= look();
  return found;
}

function look(): NativeKernels | WithoutKernels {
  if (env[KERNELS_VARIABLE] === 'off')
    return { reason: `${KERNELS_VARIABLE} is off`, remedy: `unset ${KERNELS_VARIABLE}` };
  if (usesGpu()) return { reason: 'they run on the CPU only, and this engine computes on a GPU' };
  const manifest = createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json');
  return kernelsIn(join(dirname(manifest), 'deps', 'lib'));
}

// Kernels for a processor would have every image copied from the device and back.
function usesGpu(): boolean {
  const native = tf.findBackend('tensorflow') as unknown as {
    readonly binding?: { isUsingGpuDevice(): boolean };
  } | null;
  return native?.binding?.isUsingGpuDevice() ?? false;
}

/**
 * Registers the best of the kernels that set-up put into a folder, or says why it can't.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) where `IP_DIFFUSION_NATIVE_KERNELS` names a level that can't be
 * used.
 */
export function kernelsIn(folder: string): NativeKernels | WithoutKernels {
  const description = join(folder, 'native-kernels.json');
  if (!existsSync(description)) return { reason: 'the set-up did not build them', remedy: 'npm run setup' };
  try {
    const described = JSON.parse(readFileSync(description, 'utf8')) as KernelDescription;
    const build = chosenBuild(described, env[KERNELS_VARIABLE] || 'on', thisProcessor());
    if ('reason' in build) return build;
    const { file, level, revision } = build;
    return { ...registered(join(folder, file)), level, revision };
  } catch (cause) {
    if (cause instanceof DiffusionError) throw cause;
    const text = cause instanceof Error ? cause.message : String(cause);
    return { reason: `they could not be loaded (${text.split('\n')[0] ?? ''})`, remedy: 'npm run setup' };
  }
}

function registered(file: string): Omit<NativeKernels, 'level' | 'revision'> {
  tensorflowC();
  const library = loadLibrary(file);
  const lanes = library.func('int registerKernels()')() as number;
  if (lanes === 0) throw new Error('TensorFlow refused them');
  return { lanes, ...kernelGeometry(library) };
}

/**
 * How a convolution or product treats its factors: see `native-kernels/factors.h`.
 * @param depth How many factors each sum has.
 */
export function factorAttributes(
  kernels: NativeKernels,
  precision: EnginePrecision,
  depth: number,
): Attributes {
  const low = precision === 'bfloat16';
  const pairs = low && (kernels.pairs || kernels.isInTiles(depth));
  return { low_precision: { bool: low }, pairs: { bool: pairs } };
}
