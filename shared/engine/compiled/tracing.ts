/** The tfjs backend that computes nothing: each kernel appends nodes to a graph. */
import { tf } from '../tf.js';

import { DiffusionError } from '../../foundation/index.js';
import type { Builder } from './builder.js';
import type { Constant, ConstantValues, Dtype, Value } from './graph.js';
import { KERNEL_RULES } from './kernels/index.js';
import type { KernelRule } from './kernels/index.js';

/** What tfjs calls the backend that traces. */
const TRACING_BACKEND = 'graph';

/** The two ways between what a traced body handles and what the graph knows. */
export interface Tracer {
  readonly toTensor: (value: Value) => tf.Tensor;
  readonly toValue: (tensor: tf.TensorInfo) => Value;
}

/**
 * Calls `body` with tfjs's ops appending to a graph; afterwards tfjs is as before.
 * What `body` returns must not be tensors: all that are made in it are freed.
 *
 * @throws DiffusionError UNIMPLEMENTED (ENGINE_KERNEL) for a kernel without a rule; whatever `body` throws.
 */
export function trace<T>(graph: Builder, body: (tracer: Tracer) => T): T {
  const backend = tracingBackend();
  const previous = tf.getBackend() as string | undefined;
  const outer = backend.graph;
  backend.graph = graph;
  use(TRACING_BACKEND);
  try {
    return scoped(() => body(backend));
  } catch (cause) {
    throw namingKernel(cause);
  } finally {
    backend.graph = outer;
    if (previous !== undefined) use(previous);
  }
}

// Not tf.tidy, which takes what the body returns apart in search of tensors.
function scoped<T>(body: () => T): T {
  tf.engine().startScope();
  try {
    return body();
  } finally {
    tf.engine().endScope();
  }
}

// tfjs's switch is done when the call returns, where the backend needs no waiting for.
function use(backend: string): void {
  void tf.setBackend(backend);
  if (tf.getBackend() !== backend) throw new Error(`tfjs could not switch to its backend ${backend}`);
}

class TracingBackend extends tf.KernelBackend implements Tracer {
  graph: Builder | undefined;
  readonly #values = new Map<object, Value>();

  readonly toTensor = (value: Value): tf.Tensor => tf.engine().makeTensorFromTensorInfo(this.infoOf(value));

  readonly toValue = ({ dataId }: tf.TensorInfo): Value => {
    const value = this.#values.get(dataId);
    if (value === undefined)
      throw new Error('a traced function may only use its own tensors; it used one from outside');
    return value;
  };

  infoOf(value: Value): tf.TensorInfo {
    const dataId = {};
    this.#values.set(dataId, value);
    // tfjs has no uint8; such an input is cast before the body sees it.
    return { dataId, shape: [...value.shape], dtype: value.dtype as tf.DataType };
  }

  call(rule: KernelRule, inputs: tf.NamedTensorInfoMap, attributes: Readonly<Record<string, unknown>>) {
    const values = Object.entries(inputs).flatMap(([name, info]) => {
      // Optional inputs are passed as undefined.
      const given = info;
      return given === undefined ? [] : [[name, this.toValue(given)] as const];
    });
    const result = rule({ graph: this.#tracing(), inputs: Object.fromEntries(values), attributes });
    return 'ref' in result ? this.infoOf(result) : result.map((value) => this.infoOf(value));
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    if (dtype === 'string' || dtype === 'complex64')
      throw new Error(`wanted a numeric type in a graph; got ${dtype}`);
    const graph = this.#tracing();
    const constant = { dtype: dtype satisfies Dtype, shape, values: values as ConstantValues };
    const made = isLargeAndUniform(constant) ? filled(graph, constant) : graph.constant(constant);
    return this.infoOf(made).dataId;
  }

  override readSync(): tf.BackendValues {
    throw new Error('values of tensors are not known while a function is traced');
  }

  override read(): Promise<tf.BackendValues> {
    return Promise.reject(new Error('values of tensors are not known while a function is traced'));
  }

  override disposeData(dataId: object): boolean {
    this.#values.delete(dataId);
    return true;
  }

  override numDataIds(): number {
    return this.#values.size;
  }

  override refCount(): number {
    return 1;
  }

  override incRef(): void {
    // Every TensorInfo has a data id of its own.
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: false };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override dispose(): void {
    this.#values.clear();
  }

  #tracing(): Builder {
    if (this.graph === undefined)
      throw new Error('the graph backend of tfjs works only while a function is traced');
    return this.graph;
  }
}

function tracingBackend(): TracingBackend {
  const known = tf.findBackend(TRACING_BACKEND) as TracingBackend | null;
  if (known !== null) return known;
  const backend = new TracingBackend();
  // Priority 0: never chosen by tfjs itself while another is there.
  tf.registerBackend(TRACING_BACKEND, () => backend, 0);
  for (const [kernelName, rule] of Object.entries(KERNEL_RULES)) {
    tf.registerKernel({
      kernelName,
      backendName: TRACING_BACKEND,
      kernelFunc: ({ inputs, attrs }) => backend.call(rule, inputs, attrs ?? {}),
    });
  }
  return backend;
}

function namingKernel(cause: unknown): unknown {
  const kernel =
    cause instanceof Error ? /Kernel '(\w+)' not registered/.exec(cause.message)?.[1] : undefined;
  if (kernel === undefined) return cause;
  return new DiffusionError(
    'ENGINE_KERNEL',
    `tfjs's kernel ${kernel} can't be traced; add a rule for it in shared/engine/compiled/kernels`,
    { cause, metadata: { kernel } },
  );
}

/** Of a constant that is kept whole in the graph. */
const LARGE_BYTES = 2 ** 24;

/** As the gradient of a sum over a whole batch has. */
function isLargeAndUniform({ dtype, values }: Constant): boolean {
  if (dtype === 'bool' || values.byteLength <= LARGE_BYTES) return false;
  const [first] = values;
  return values.every((value) => Object.is(value, first));
}

function filled(graph: Builder, { dtype, shape, values }: Constant): Value {
  const value = graph.constant({ dtype, shape: [], values: values.slice(0, 1) });
  return graph.one('Fill', [graph.integers(shape), value]);
}
