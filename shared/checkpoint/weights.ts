/** Which weights a checkpoint holds, and where. */

import { DiffusionError } from '../foundation/index.js';
import type { WeightsChoice } from '../recipe/index.js';
import type { Manifest, ManifestObject } from './manifest.js';
import { emaObject, weightsObject } from './object-names.js';

/** The weights that a checkpoint holds: the raw ones first, then EMA weights by rising rate. */
export function weightsChoices({ emaRates }: Manifest<unknown>): WeightsChoice[] {
  return ['raw', ...[...emaRates].sort((a, b) => a - b)];
}

/** The EMA weights of the largest rate; the raw weights where there are no others. */
export function defaultWeights({ emaRates }: Manifest<unknown>): WeightsChoice {
  return emaRates.length === 0 ? 'raw' : Math.max(...emaRates);
}

/**
 * The object that holds the weights.
 *
 * @throws DiffusionError DATA_LOSS (reason MANIFEST_INVALID) for a manifest without it.
 */
export function objectOfWeights({ objects }: Manifest<unknown>, weights: WeightsChoice): ManifestObject {
  const name = weights === 'raw' ? weightsObject : emaObject(weights);
  const object = objects.find((candidate) => candidate.name === name);
  if (object !== undefined) return object;
  throw new DiffusionError('MANIFEST_INVALID', `manifest: wanted an object ${name}; got none`);
}

export function describeWeights(weights: WeightsChoice): string {
  return weights === 'raw' ? 'raw weights' : `EMA weights of rate ${weights}`;
}
