/** Loads TensorFlow's native library into this process, and gives its random ops and the composites to tfjs. */
import { arch, availableParallelism, cpus, platform } from 'node:os';
import util from 'node:util';

import { DiffusionError } from '../foundation/index.js';
import { COMPOSITES } from './composites/index.js';
import type { Composite } from './composites/index.js';
import type { Attributes, Dtype } from './compiled/graph.js';
import type { EngineBuild } from './module.js';
import { loadFramework, notLoaded } from './tensorflow-library.js';
import { requireBackend, tf } from './tf.js';

/** The part of tfjs-node's backend that the engine uses beyond tfjs's own interface. */
interface NativeBackend {
  readonly binding: {
    readonly TF_Version: string;
    readonly TF_ATTR_TYPE: number;
    readonly TF_FLOAT: number;
    readonly TF_INT32: number;
    isUsingGpuDevice(): boolean;
  };
  executeSingleOutput(
    op: string,
    attributes: readonly object[],
    inputs: readonly tf.TensorInfo[],
  ): tf.TensorInfo;
}

const BACKEND = 'tensorflow';

/** The kernels that tfjs lacks and `random.ts` calls: TensorFlow's op names, `seed` int32[2] in, float32 out. */
export const RANDOM_KERNELS = ['StatelessRandomNormal', 'StatelessRandomUniform'] as const;

/**
 * Loads the native library, once a process, and makes it tfjs's backend.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) when the library is missing or can't be loaded.
 */
// eslint-disable-next-line @typescript-eslint/require-await -- that loading blocks is no promise to callers
export async function loadNative(): Promise<Omit<EngineBuild, 'name'>> {
  provideIsNullOrUndefined();
  try {
    loadFramework();
    requireBackend();
  } catch (cause) {
    throw notLoaded(cause);
  }
  const known = new Set(tf.getKernelsForBackend(BACKEND).map(({ kernelName }) => kernelName));
  for (const kernel of RANDOM_KERNELS) if (!known.has(kernel)) registerRandomKernel(kernel);
  for (const composite of COMPOSITES.values()) if (!known.has(composite.op)) registerComposite(composite);
  const { binding } = tf.backend() as unknown as NativeBackend;
  const device = binding.isUsingGpuDevice() ? 'gpu' : 'cpu';
  return {
    version: tf.version_core,
    library: `tensorflow ${binding.TF_Version}`,
    platform: `${platform()}-${arch()}-${device} ${cpus()[0]?.model.trim() ?? 'unknown processor'}`,
    threads: availableParallelism(),
  };
}

// tfjs-node 4.22 calls this function, which Node 23 removed.
function provideIsNullOrUndefined(): void {
  if (Reflect.has(util, 'isNullOrUndefined')) return;
  Reflect.set(util, 'isNullOrUndefined', (value: unknown) => value === null || value === undefined);
}

function registerRandomKernel(kernelName: string): void {
  tf.registerKernel({
    kernelName,
    backendName: BACKEND,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const native = backend as NativeBackend;
      const { TF_ATTR_TYPE, TF_FLOAT, TF_INT32 } = native.binding;
      const attributes = [
        { name: 'dtype', type: TF_ATTR_TYPE, value: TF_FLOAT },
        { name: 'T', type: TF_ATTR_TYPE, value: TF_INT32 },
        { name: 'Tseed', type: TF_ATTR_TYPE, value: TF_INT32 },
      ];
      const shape = tf.tensor1d(attrs?.['shape'] as number[], 'int32');
      const drawn = native.executeSingleOutput(kernelName, attributes, [
        shape,
        inputs['seed'] as tf.TensorInfo,
      ]);
      shape.dispose();
      return drawn;
    },
  });
}

function registerComposite({ op, infer, plain }: Composite): void {
  tf.registerKernel({
    kernelName: op,
    backendName: BACKEND,
    kernelFunc: ({ inputs, attrs }) => {
      const tensors = Object.values(inputs) as tf.Tensor[];
      const attributes = attrs as unknown as Attributes;
      // Plain ops would broadcast what doesn't fit.
      infer(
        tensors.map(({ shape, dtype }) => ({ ref: op, shape, dtype: dtype as Dtype })),
        attributes,
      );
      return tf.tidy(() => [...plain(tensors, attributes)]);
    },
  });
}

/** An engine's failure as a typed error: out of memory apart from everything else. */
export function engineError(cause: unknown, doing: string): DiffusionError {
  if (cause instanceof DiffusionError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  const outOfMemory =
    /\bOOM\b|out of memory|resource exhausted|bad_alloc|cannot allocate|allocation failed/i.test(text);
  return outOfMemory
    ? new DiffusionError('ENGINE_OUT_OF_MEMORY', `out of memory while ${doing}: ${text}`, {
        cause,
      })
    : new DiffusionError('ENGINE_FAILED', `the engine failed while ${doing}: ${text}`, {
        cause,
      });
}
