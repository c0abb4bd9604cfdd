/** This project's own kernels, as operations of TensorFlow. Without them a graph runs on TensorFlow's alone. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { env } from 'node:process';

import * as tf from '@tensorflow/tfjs-core';
import koffi from 'koffi';
import type { LibraryHandle } from 'koffi';

import type { EnginePrecision } from '../module.js';
import { processorIdentity } from '../../foundation/index.js';
import type { Attributes } from './graph.js';
import { tensorflowC } from './tensorflow-c.js';

export interface NativeKernels {
  /** Floats of a vector, to whose multiples the kernels' channel counts are restricted. */
  readonly lanes: number;
  /** Whether the processor has tiles for products of bfloat16. */
  readonly tiles: boolean;
  /** Whether it multiplies two pairs of bfloat16 faster than it does two floats, twice. */
  readonly pairs: boolean;
}

/** Set to `off`, a process goes without. */
const SWITCH = 'IP_DIFFUSION_NATIVE_KERNELS';

// Kept, since koffi unloads a library that nobody refers to.
let library: LibraryHandle | undefined;
let registered: NativeKernels | undefined;
let tried = false;

/**
 * Registers the kernels, once a process; undefined where set-up built none for this processor, or they are switched
 * off.
 */
export function nativeKernels(): NativeKernels | undefined {
  if (!tried) registered = register();
  tried = true;
  return registered;
}

// Kernels for a processor would have every image copied from the device and back.
function usesGpu(): boolean {
  const native = tf.findBackend('tensorflow') as unknown as {
    readonly binding?: { isUsingGpuDevice(): boolean };
  } | null;
  return native?.binding?.isUsingGpuDevice() ?? false;
}

function register(): NativeKernels | undefined {
  if (env[SWITCH] === 'off' || usesGpu()) return undefined;
  const manifest = createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json');
  const folder = join(dirname(manifest), 'deps', 'lib');
  const description = join(folder, 'native-kernels.json');
  if (!existsSync(description)) return undefined;
  const { file, processor } = JSON.parse(readFileSync(description, 'utf8')) as {
    readonly file: string;
    readonly processor: string;
  };
  // They were compiled for one processor's instructions, and another may not have them.
  if (processorIdentity() !== processor) return undefined;
  tensorflowC();
  library = koffi.load(join(folder, file));
  const lanes = library.func('int registerKernels()')() as number;
  const tiles = library.func('int usesTiles()')() !== 0;
  const pairs = library.func('int usesPairs()')() !== 0;
  return lanes === 0 ? undefined : { lanes, tiles, pairs };
}

/** The factors of a sum in a tile: `kTileDepth` of `native-kernels/tiles.h`. */
const TILE_DEPTH = 32;

/** Whether products are in tiles; `depth` is how many factors each sum has. */
export function isInTiles({ tiles }: NativeKernels, precision: EnginePrecision, depth: number): boolean {
  return tiles && precision === 'bfloat16' && depth % TILE_DEPTH === 0;
}

/** What a convolution or product is told of its factors: see `native-kernels/factors.h`. */
export function factorAttributes(
  kernels: NativeKernels,
  precision: EnginePrecision,
  depth: number,
): Attributes {
  const low = precision === 'bfloat16';
  const pairs = low && (kernels.pairs || isInTiles(kernels, precision, depth));
  return { low_precision: { bool: low }, pairs: { bool: pairs } };
}
