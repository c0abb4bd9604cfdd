/** Rows -> the inputs of one pass through the prediction that training has. */

import type { EngineArray } from '../engine/index.js';
import type { TrainingRecipe } from '../recipe/index.js';
import { packRows, type NetworkRow } from '../sampler/index.js';

/** @param size Of the pass; at least as many as the rows. */
export function networkInputs(
  { architecture }: TrainingRecipe,
  rows: readonly NetworkRow[],
  size: number,
): Readonly<Record<string, EngineArray>> {
  const { xT, t, y } = packRows(rows, [size]);
  return { xT, t, ...(architecture.numClasses > 0 && { y }) };
}
