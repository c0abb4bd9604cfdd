/** Curves out of sums over images. */
import { at } from '../foundation/index.js';
import type { StreamingBootstrap } from '../statistics/index.js';
import type { Curve } from './result.js';

/** A curve whose point at `xs[i]` is a value of the means over images. @param isDistance As `StreamingBootstrap.estimates`. */
export function curveOf(
  name: string,
  stream: StreamingBootstrap,
  xs: readonly number[],
  value: (means: Float64Array, i: number) => number,
  isDistance = false,
): Curve {
  const found = stream.estimates((means) => xs.map((_, i) => value(means, i)), isDistance);
  return { name, points: xs.map((x, i) => ({ x, ...at(found, i) })) };
}
