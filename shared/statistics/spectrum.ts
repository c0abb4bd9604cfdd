/** Frequencies of an image: the discrete cosine transform, and its power by distance from the mean. */
import { at, invalidArgument, isInteger, violation } from '../foundation/index.js';

export interface ImageTransform {
  /** The orthonormal DCT-II of an image [size, size, channels], channel by channel, in the same layout. */
  forward(image: Float32Array): Float64Array;
  /** Its inverse. */
  inverse(coefficients: ArrayLike<number>): Float32Array;
}

const MOST_SIZE = 1024;

/**
 * By two products with the matrix of cosines: size^3 multiplications for a channel, which up to some hundred pixels is
 * little beside what a network takes.
 */
export function cosineTransform(size: number, channels: number): ImageTransform {
  if (!isInteger(size, 1, MOST_SIZE))
    throw invalidArgument([violation('size', `an integer from 1 to ${MOST_SIZE}`, size)]);
  const matrix = new Float64Array(size * size);
  for (let k = 0; k < size; k++) {
    const scale = Math.sqrt((k === 0 ? 1 : 2) / size);
    for (let x = 0; x < size; x++) matrix[k * size + x] = scale * Math.cos((Math.PI * (x + 0.5) * k) / size);
  }
  const transposed = matrix.map((_, i) => at(matrix, (i % size) * size + Math.floor(i / size)));

  // Along the rows and then along the columns, with all channels.
  function apply(factors: Float64Array, image: ArrayLike<number>): Float64Array {
    const rows = new Float64Array(image.length);
    const result = new Float64Array(image.length);
    product(factors, image, rows, size * channels, channels);
    product(factors, rows, result, channels, size * channels);
    return result;
  }

  /** Along the axis whose neighbours are `along` apart; the other axis' are `across` apart. */
  function product(
    factors: Float64Array,
    from: ArrayLike<number>,
    to: Float64Array,
    across: number,
    along: number,
  ): void {
    for (let line = 0; line < size; line++) {
      for (let channel = 0; channel < channels; channel++) {
        const start = line * across + channel;
        for (let k = 0; k < size; k++) {
          let sum = 0;
          for (let x = 0; x < size; x++)
            sum += (factors[k * size + x] ?? NaN) * (from[start + x * along] ?? NaN);
          to[start + k * along] = sum;
        }
      }
    }
  }

  return {
    forward: (image) => apply(matrix, image),
    inverse: (coefficients) => Float32Array.from(apply(transposed, coefficients)),
  };
}

/** Rings around the mean in the plane of frequencies, each as wide as the others. */
export interface RadialBands {
  readonly count: number;
  /** The band of each value of an image [size, size, channels]. */
  readonly bandOf: Uint16Array;
  /** How many values each has. */
  readonly sizes: Uint32Array;
  /** The middle of each, as a share of the highest frequency along an axis. */
  readonly middles: readonly number[];
}

/**
 * Band b of `count` holds the frequencies (u, v) with b <= count sqrt(u^2 + v^2) / size < b + 1; the last one also holds
 * the corner beyond.
 *
 * @throws INVALID_ARGUMENT naming `count`, where a band would be empty.
 */
export function radialBands(size: number, channels: number, count: number): RadialBands {
  if (!isInteger(count, 1, size))
    throw invalidArgument([violation('count', `an integer from 1 to ${size}`, count)]);
  const bandOf = new Uint16Array(size * size * channels);
  const sizes = new Uint32Array(count);
  for (let i = 0; i < bandOf.length; i++) {
    const pixel = Math.floor(i / channels);
    const radius = Math.hypot(Math.floor(pixel / size), pixel % size);
    const band = Math.min(Math.floor((count * radius) / size), count - 1);
    bandOf[i] = band;
    sizes[band] = at(sizes, band) + 1;
  }
  const middles = Array.from({ length: count }, (_, band) => (band + 0.5) / count);
  return { count, bandOf, sizes, middles };
}

/** The mean square of an image's coefficients in each band. */
export function bandPower({ count, bandOf, sizes }: RadialBands, coefficients: Float64Array): Float64Array {
  const power = new Float64Array(count);
  for (let i = 0; i < coefficients.length; i++) {
    const band = bandOf[i] ?? 0;
    power[band] = (power[band] ?? NaN) + (coefficients[i] ?? NaN) ** 2;
  }
  return power.map((sum, band) => sum / at(sizes, band));
}
