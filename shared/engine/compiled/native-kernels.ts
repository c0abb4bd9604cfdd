/** This project's own kernels, as operations of TensorFlow. Without them a graph runs on TensorFlow's alone. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { env } from 'node:process';

import { tf } from '../tf.js';
import type { LibraryHandle } from 'koffi';

import { processorIdentity } from '../../foundation/index.js';
import koffi from '../koffi.js';
import type { EnginePrecision, WithoutKernels } from '../module.js';
import type { Attributes } from './graph.js';
import { tensorflowC } from './tensorflow-c.js';

export interface NativeKernels {
  /** Floats of a vector, to whose multiples the kernels' channel counts are restricted. */
  readonly lanes: number;
  /** Whether the processor has tiles for products of bfloat16. */
  readonly tiles: boolean;
  /** Whether it multiplies two pairs of bfloat16 faster than it does two floats, twice. */
  readonly pairs: boolean;
  /** A digest of the sources: with others, results may differ in their last bits. */
  readonly revision: string;
}

/** Set to `off`, a process doesn't use the kernels. */
const SWITCH = 'IP_DIFFUSION_NATIVE_KERNELS';

/** What set-up wrote beside the kernels. */
interface Description {
  readonly file: string;
  readonly processor: string;
  readonly revision: string;
}

// Kept, since koffi unloads a library that nobody refers to.
let library: LibraryHandle | undefined;
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

function lookedFor(): NativeKernels | WithoutKernels {
  found ??= look();
  return found;
}

function look(): NativeKernels | WithoutKernels {
  if (env[SWITCH] === 'off') return { reason: `${SWITCH} is off`, remedy: `unset ${SWITCH}` };
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

/** Registers the kernels that set-up put into a folder, or says why it can't. */
export function kernelsIn(folder: string): NativeKernels | WithoutKernels {
  const description = join(folder, 'native-kernels.json');
  if (!existsSync(description)) return { reason: 'the set-up did not build them', remedy: 'npm run setup' };
  try {
    const { file, processor, revision } = JSON.parse(readFileSync(description, 'utf8')) as Description;
    // They were compiled for one processor's instructions, and another may not have them.
    if (processorIdentity() !== processor) {
      return { reason: 'they were built for another processor', remedy: 'npm run setup, on this machine' };
    }
    return { ...registered(join(folder, file)), revision };
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    return { reason: `they could not be loaded (${text.split('\n')[0] ?? ''})`, remedy: 'npm run setup' };
  }
}

function registered(file: string): Omit<NativeKernels, 'revision'> {
  tensorflowC();
  library = koffi.load(file);
  const lanes = library.func('int registerKernels()')() as number;
  if (lanes === 0) throw new Error('TensorFlow refused them');
  const tiles = library.func('int usesTiles()')() !== 0;
  const pairs = library.func('int usesPairs()')() !== 0;
  return { lanes, tiles, pairs };
}

/** The factors of a sum in a tile: `kTileDepth` of `native-kernels/tiles.h`. */
const TILE_DEPTH = 32;

/** Whether products are in tiles; `depth` is how many factors each sum has. */
export function isInTiles({ tiles }: NativeKernels, precision: EnginePrecision, depth: number): boolean {
  return tiles && precision === 'bfloat16' && depth % TILE_DEPTH === 0;
}

/** How a convolution or product treats its factors: see `native-kernels/factors.h`. */
export function factorAttributes(
  kernels: NativeKernels,
  precision: EnginePrecision,
  depth: number,
): Attributes {
  const low = precision === 'bfloat16';
  const pairs = low && (kernels.pairs || isInTiles(kernels, precision, depth));
  return { low_precision: { bool: low }, pairs: { bool: pairs } };
}
