/** What parts of rows compute with, over the pixels of one image. */
import { at } from '../../shared/foundation/index.js';
import type { SlotMath } from '../../shared/sampler/index.js';

/** An image, or a single number. */
export type ToyValue = Float64Array;

const binary =
  (operation: (a: number, b: number) => number) =>
  (a: ToyValue, b: ToyValue): ToyValue =>
    Float64Array.from({ length: Math.max(a.length, b.length) }, (_, e) =>
      operation(at(a, e % a.length), at(b, e % b.length)),
    );

/** Of square images of one channel. */
export const toySlotMath: SlotMath<ToyValue> = {
  constant: (value) => Float64Array.of(value),
  add: binary((a, b) => a + b),
  sub: binary((a, b) => a - b),
  mul: binary((a, b) => a * b),
  div: binary((a, b) => a / b),
  min: binary(Math.min),
  max: binary(Math.max),
  abs: (a) => a.map(Math.abs),
  sqrt: (a) => a.map(Math.sqrt),
  where: (isOver0, then, otherwise) => (at(isOver0, 0) > 0 ? then : otherwise),
  ranked: (image, [rank = 0]) => {
    if (rank < 1) return Float64Array.of(NaN);
    const descending = image.toSorted((a, b) => b - a);
    const [above, below] = [Math.floor(rank), Math.ceil(rank)].map((each) => at(descending, each - 1));
    return Float64Array.of((above ?? NaN) + (rank % 1) * ((below ?? NaN) - (above ?? NaN)));
  },
  mean: (image) => Float64Array.of(meanOf(image)),
  blockMeans: (image) => {
    const size = Math.sqrt(image.length);
    const blockOf = (e: number): string => {
      const [row, column] = [Math.floor(e / size), e % size];
      return [row >> 1, column >> 1].join();
    };
    return image.map((_, e) => meanOf(image.filter((_other, k) => blockOf(k) === blockOf(e))));
  },
};

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
