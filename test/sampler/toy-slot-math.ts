/** What parts of rows compute with, over the pixels of one image. */
import { at } from '../../shared/foundation/index.js';
import type { SlotMath } from '../../shared/sampler/index.js';

/** An image, or a single number. */
export type ToyValue = Float64Array;

export function toySlotMath(): SlotMath<ToyValue> {
  const binary =
    (operation: (a: number, b: number) => number) =>
    (a: ToyValue, b: ToyValue): ToyValue =>
      Float64Array.from({ length: Math.max(a.length, b.length) }, (_, e) =>
        operation(at(a, e % a.length), at(b, e % b.length)),
      );
  return {
    constant: (value) => Float64Array.of(value),
    add: binary((a, b) => a + b),
    sub: binary((a, b) => a - b),
    mul: binary((a, b) => a * b),
  };
}
