/** What the library of kernels says of itself: which sizes it takes, and the shapes of what one kernel makes for another. */
import type { LibraryHandle } from 'koffi';

export interface KernelGeometry {
  /** Whether the processor has tiles for products of bfloat16. */
  readonly tiles: boolean;
  /** Whether it multiplies two pairs of bfloat16 faster than it does two floats, twice. */
  readonly pairs: boolean;
  /** What group norms add to the variance. */
  readonly normEpsilon: number;
  /** Whether products of bfloat16 whose sums have so many factors are in tiles. */
  isInTiles(depth: number): boolean;
  /** Of a 3x3 filter from and to so many channels, for images of this width. @param pairs Of bfloat16, two in a float. */
  transformedFilter(width: number, channels: readonly [into: number, out: number], pairs: boolean): number[];
  /** Of a filter of so many factors in each sum, and so many sums. */
  packedFilter(depth: number, out: number, pairs: boolean): number[];
}

export function kernelGeometry(library: LibraryHandle): KernelGeometry {
  const asked = (name: string, parameters: string): ((...args: number[]) => number) => {
    const call = library.func(`int ${name}(${parameters})`);
    return (...args) => call(...args) as number;
  };
  const isInTiles = asked('isInTiles', 'int depth');
  const frequencies = asked('transformedFrequencies', 'int width, int pairs');
  const transformedWords = asked('transformedWords', 'int in, int pairs');
  const packedWords = asked('packedFilterWords', 'int depth, int pairs');
  const packedColumns = asked('packedFilterColumns', 'int out');
  return {
    tiles: asked('usesTiles', '')() !== 0,
    pairs: asked('usesPairs', '')() !== 0,
    normEpsilon: library.func('double normEpsilon()')() as number,
    isInTiles: (depth) => isInTiles(depth) !== 0,
    transformedFilter: (width, [into, out], pairs) => [
      frequencies(width, Number(pairs)),
      transformedWords(into, Number(pairs)),
      out,
    ],
    packedFilter: (depth, out, pairs) => [packedWords(depth, Number(pairs)), packedColumns(out)],
  };
}
