/** Which weights of a checkpoint, on the wire. */

import type { WeightsChoice } from '../recipe/index.js';
import type { Weights } from './generated/diffusion/types/v1/weights.js';

/** Undefined where nothing is chosen. A rate is unchecked: NaN and -1 pass. */
export function weightsFromWire(wire: Weights | undefined): WeightsChoice | undefined {
  if (wire?.kind === undefined) return undefined;
  return wire.kind.$case === 'raw' ? 'raw' : wire.kind.value;
}

export function weightsToWire(weights: WeightsChoice): Weights {
  return { kind: weights === 'raw' ? { $case: 'raw', value: {} } : { $case: 'emaRate', value: weights } };
}
