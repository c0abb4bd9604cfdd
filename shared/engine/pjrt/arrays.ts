/** Arrays as a device keeps them, and as JavaScript does. */

export type DeviceDtype = 'float32' | 'bfloat16' | 'int32' | 'uint8' | 'bool';

export interface DeviceSpec {
  readonly dtype: DeviceDtype;
  readonly shape: readonly number[];
}

/** bool as 0 and 1; bfloat16 as its bits. */
export type HostArray = Float32Array | Uint16Array | Int32Array | Uint8Array;

/** PJRT_Buffer_Type, and the array that holds such elements. */
export const ELEMENTS = {
  bool: { type: 1, array: Uint8Array },
  int32: { type: 4, array: Int32Array },
  uint8: { type: 6, array: Uint8Array },
  float32: { type: 11, array: Float32Array },
  bfloat16: { type: 13, array: Uint16Array },
} as const satisfies Record<DeviceDtype, unknown>;

/** How many elements an array has. */
export const sizeOf = ({ shape }: DeviceSpec): number => shape.reduce((size, length) => size * length, 1);

const describe = ({ dtype, shape }: DeviceSpec): string => `${dtype}[${shape.join(',')}]`;

/** @throws Error where the array holds something else. */
export function checkArray(array: HostArray, spec: DeviceSpec): void {
  const { array: of } = ELEMENTS[spec.dtype];
  if (array instanceof of && array.length === sizeOf(spec)) return;
  throw new Error(`wanted ${describe(spec)}; got ${array.length} of ${array.constructor.name}`);
}

/** @throws Error where a program takes something else: plugins compare sizes in bytes alone. */
export function checkArguments(args: readonly DeviceSpec[], parameters: readonly DeviceSpec[]): void {
  const [got, wanted] = [args, parameters].map((specs) => specs.map(describe).join(', '));
  if (got !== wanted) throw new Error(`a program takes (${wanted ?? ''}); got (${got ?? ''})`);
}
