/** Stored tensors: the element types of safetensors and the typed arrays that hold them. */

/** The typed array of each element type; half-precision values stay as their 16 bits. */
export interface ElementArrays {
  F32: Float32Array;
  F64: Float64Array;
  I32: Int32Array;
  I64: BigInt64Array;
  U8: Uint8Array;
  F16: Uint16Array;
  BF16: Uint16Array;
}

export type StoredDtype = keyof ElementArrays;

/** A tensor at rest, row-major; `data` holds as many elements as `shape` multiplies to. */
export type TensorData = {
  [Dtype in StoredDtype]: {
    readonly dtype: Dtype;
    readonly shape: readonly number[];
    readonly data: ElementArrays[Dtype];
  };
}[StoredDtype];

const bytesPerElement = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, U8: 1 } as const satisfies Record<
  StoredDtype,
  number
>;

export const storedDtypes: readonly string[] = Object.keys(bytesPerElement);

export function isStoredDtype(value: unknown): value is StoredDtype {
  return typeof value === 'string' && Object.hasOwn(bytesPerElement, value);
}

/** Bytes of one element. */
export function elementSize(dtype: StoredDtype): number {
  return bytesPerElement[dtype];
}

/** How many elements a shape has. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** The memory of a typed array as bytes. */
export function bytesOfArray({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** A tensor over the bytes as they lie; copies them only where their alignment does not fit the type. */
export function tensorOverBytes(dtype: StoredDtype, shape: readonly number[], bytes: Uint8Array): TensorData {
  const size = elementSize(dtype);
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const length = bytes.byteLength / size;
  switch (dtype) {
    case 'F32':
      return { dtype, shape, data: new Float32Array(buffer, byteOffset, length) };
    case 'F64':
      return { dtype, shape, data: new Float64Array(buffer, byteOffset, length) };
    case 'I32':
      return { dtype, shape, data: new Int32Array(buffer, byteOffset, length) };
    case 'I64':
      return { dtype, shape, data: new BigInt64Array(buffer, byteOffset, length) };
    case 'U8':
      return { dtype, shape, data: new Uint8Array(buffer, byteOffset, length) };
    case 'F16':
    case 'BF16':
      return { dtype, shape, data: new Uint16Array(buffer, byteOffset, length) };
  }
}

/** The index of the first element that is NaN or infinite, or -1; integers have none. */
export function indexOfNonFinite({ dtype, data }: TensorData): number {
  switch (dtype) {
    case 'F32':
    case 'F64':
      return data.findIndex((value) => !Number.isFinite(value));
    case 'F16':
      return data.findIndex((bits) => (bits & 0x7c00) === 0x7c00);
    case 'BF16':
      return data.findIndex((bits) => (bits & 0x7f80) === 0x7f80);
    case 'I32':
    case 'I64':
    case 'U8':
      return -1;
  }
}
