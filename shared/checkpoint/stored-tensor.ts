/** Tensors that lie in a file: where and how, and their values as float32 without reading more than they need. */

import { DiffusionError } from '../foundation/index.js';
import { floatsOfHalf } from './half-precision.js';
import { bytesOfArray, elementCount, elementSize, tensorOverBytes } from './tensor-data.js';
import type { StoredDtype, TensorData } from './tensor-data.js';

/** Bytes that lie elsewhere, read in pieces. */
export interface ByteSource {
  readonly size: number;
  /** Fills `into` with the bytes from `position` on, all of which the source must have. */
  read(into: Uint8Array, position: number): Promise<void>;
}

/** A tensor in a byte source. `strides` are in elements, `position` is the byte of its first element. */
export interface StoredTensor {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly position: number;
}

/** The strides of a tensor whose last dimension is the fastest. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
}

/** From a tensor's first element to behind its last, in elements: what must be there to read it. */
export function extentOf({ shape, strides }: Pick<StoredTensor, 'shape' | 'strides'>): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((extent, size, axis) => extent + (size - 1) * (strides[axis] ?? 0), 1);
}

/**
 * Reads a tensor as float32, row-major, into an array of as many elements as its shape has.
 *
 * @throws DATA_LOSS (reason TENSORS_MISMATCH) for a tensor of integers, which no parameter is.
 */
export async function readFloats(
  source: ByteSource,
  tensor: StoredTensor,
  into: Float32Array,
): Promise<void> {
  const { dtype, shape, strides, position } = tensor;
  const extent = extentOf(tensor);
  const inOrder = extent === into.length && isRowMajor(shape, strides);
  if (inOrder && dtype === 'F32') return source.read(bytesOfArray(into), position);
  const bytes = new Uint8Array(extent * elementSize(dtype));
  await source.read(bytes, position);
  const values = toFloats(tensorOverBytes(dtype, [extent], bytes));
  if (inOrder) into.set(values);
  else gather(values, shape, strides, into);
}

/** Strides of dimensions with one element don't matter, and PyTorch writes any. */
function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  const wanted = rowMajorStrides(shape);
  return shape.every((size, axis) => size <= 1 || strides[axis] === wanted[axis]);
}

function toFloats({ dtype, data }: TensorData): Float32Array | Float64Array {
  switch (dtype) {
    case 'F32':
    case 'F64':
      return data;
    case 'F16':
    case 'BF16':
      return floatsOfHalf(dtype, data);
    case 'I32':
    case 'I64':
    case 'U8':
      throw new DiffusionError('TENSORS_MISMATCH', `a tensor: wanted floating-point numbers; got ${dtype}`);
  }
}

function gather(
  values: Float32Array | Float64Array,
  shape: readonly number[],
  strides: readonly number[],
  into: Float32Array,
): void {
  const place = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < into.length; to++) {
    into[to] = values[from] ?? NaN;
    // An odometer: the last dimension turns first.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [size, stride, at] = [shape[axis] ?? 1, strides[axis] ?? 0, (place[axis] ?? 0) + 1];
      from += stride;
      place[axis] = at;
      if (at < size) break;
      from -= size * stride;
      place[axis] = 0;
    }
  }
}
