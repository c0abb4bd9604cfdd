/** An object of float32 tensors, such as weights, from its bytes. */

import { DiffusionError } from '../foundation/index.js';
import { checkFinite, checkTensors } from './check-tensors.js';
import { decodeSafetensors } from './safetensors.js';

/**
 * The tensors by name, in the expected order.
 *
 * @param expected The shape of each tensor by its name; there must be no others.
 * @throws DiffusionError DATA_LOSS where the format, the set of tensors, a shape, a type or a value isn't as expected.
 */
export function decodeFloats(
  bytes: Uint8Array,
  expected: ReadonlyMap<string, readonly number[]>,
): Map<string, Float32Array> {
  const { tensors } = decodeSafetensors(bytes);
  checkTensors(tensors, expected);
  checkFinite(tensors);
  return new Map(
    [...expected.keys()].map((name) => {
      const tensor = tensors.get(name);
      if (tensor?.dtype === 'F32') return [name, tensor.data];
      throw new DiffusionError(
        'TENSORS_MISMATCH',
        `tensor ${name}: wanted F32; got ${tensor?.dtype ?? 'no tensor'}`,
      );
    }),
  );
}
