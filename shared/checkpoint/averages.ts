/** Which averages of the weights a checkpoint holds, and where. */

import { DiffusionError } from '../foundation/index.js';
import type { Manifest, ManifestObject } from './manifest.js';
import { averageObject } from './object-names.js';

/** The rates that may be asked for, rising; 0 stands for the weights themselves. */
export function averageRates({ emaRates }: Manifest<unknown>): number[] {
  return [0, ...emaRates].sort((a, b) => a - b);
}

/**
 * The object with the weights, for rate 0, or their average of that rate.
 * @throws DiffusionError DATA_LOSS (reason MANIFEST_INVALID) for a manifest without it.
 */
export function averageOf({ objects }: Manifest<unknown>, rate: number): ManifestObject {
  const name = averageObject(rate);
  const object = objects.find((candidate) => candidate.name === name);
  if (object !== undefined) return object;
  const text = `manifest: wanted an object ${name}; got none`;
  throw new DiffusionError('MANIFEST_INVALID', text);
}
