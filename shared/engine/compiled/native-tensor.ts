/** Arrays to TensorFlow's tensors and back. */
import { DiffusionError } from '../../foundation/index.js';
import { DataType } from '../generated/api.js';
import { dataType } from './emit.js';
import type { ConstantValues, Value } from './graph.js';
import type { Pointer, TensorFlowC } from './tensorflow-c.js';

/** An array with its shape, row-major; its class is its type: float64, float32, int32 or uint8. */
export interface NativeArray {
  readonly shape: readonly number[];
  readonly values: Float64Array | Float32Array | Int32Array | Uint8Array;
}

/** The arrays of each of TensorFlow's types. */
const ARRAYS = [
  [DataType.DT_DOUBLE, Float64Array],
  [DataType.DT_FLOAT, Float32Array],
  [DataType.DT_INT32, Int32Array],
  [DataType.DT_UINT8, Uint8Array],
  [DataType.DT_BOOL, Uint8Array],
] as const;

/** A tensor of an array's own shape and type. @throws RESOURCE_EXHAUSTED (ENGINE_OUT_OF_MEMORY). */
export function toTensor(c: TensorFlowC, { shape, values }: NativeArray): Pointer {
  const [type] = ARRAYS.find(([, of]) => values instanceof of) ?? [];
  if (type === undefined) throw new Error('wanted a float64, float32, int32 or uint8 array');
  return allocate(c, type, shape, values);
}

/** A copy of a tensor. */
export function toArray(c: TensorFlowC, tensor: Pointer): NativeArray {
  const type = c.TF_TensorType(tensor);
  const [, of] = ARRAYS.find(([each]) => each === (type as DataType)) ?? [];
  if (of === undefined) throw new Error(`wanted a tensor of numbers; got TensorFlow's type ${type}`);
  const shape = Array.from({ length: c.TF_NumDims(tensor) }, (_, axis) => Number(c.TF_Dim(tensor, axis)));
  return { shape, values: new of(bytesOf(c, tensor)) };
}

/** A tensor of a value's shape and type. @throws as `toTensor`. */
export function toNative(
  c: TensorFlowC,
  { dtype, shape }: Value,
  values: ConstantValues | undefined,
): Pointer {
  if (values === undefined) throw new Error('an input has no values');
  return allocate(c, dataType(dtype), shape, values);
}

/** A copy of a tensor, as float32. */
export function toFloats(c: TensorFlowC, { dtype }: Value, tensor: Pointer): Float32Array {
  const bytes = bytesOf(c, tensor);
  if (dtype === 'float32') return new Float32Array(bytes);
  return Float32Array.from(dtype === 'int32' ? new Int32Array(bytes) : new Uint8Array(bytes));
}

export function outOfMemory(text: string): DiffusionError {
  return new DiffusionError('ENGINE_OUT_OF_MEMORY', `out of memory: ${text}`);
}

function allocate(
  c: TensorFlowC,
  type: number,
  shape: readonly number[],
  values: NativeArray['values'],
): Pointer {
  const lengths = BigInt64Array.from(shape, BigInt);
  const tensor = c.TF_AllocateTensor(type, lengths, shape.length, values.byteLength) as Pointer | null;
  if (!tensor) throw outOfMemory(`${values.byteLength} bytes for an input`);
  if (values.byteLength > 0) c.memcpy(c.TF_TensorData(tensor), values, values.byteLength);
  return tensor;
}

function bytesOf(c: TensorFlowC, tensor: Pointer): ArrayBuffer {
  const copy = new Uint8Array(c.TF_TensorByteSize(tensor));
  if (copy.length > 0) c.memcpy(copy, c.TF_TensorData(tensor), copy.length);
  return copy.buffer;
}
