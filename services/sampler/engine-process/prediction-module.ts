/** The sampler's engine module: one network, at several batch sizes. */
import type { EngineModule, EnginePrecision } from '../../../shared/engine/index.js';
import { parameterSpecs, predictFunction } from '../../../shared/model/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';
import { at } from '../../../shared/foundation/index.js';
import { slotFunctions } from './slot-module.js';

/**
 * Functions `predict_<n>` for each batch size n: inputs `xT` [n, H, W, C], `t` [n] float32 (as the network was trained
 * to take it) and `y` [n] int32 where it has classes; output `modelOutput` [n, H, W, outChannels].
 * The variables are the network's parameters, under their own names. With `slots`, which PJRT devices can have, the
 * functions of `slotFunctions` as well, for passes of the largest size.
 */
export function predictionModule(
  architecture: UNetConfig,
  batchSizes: readonly number[],
  precision: EnginePrecision = 'float32',
  slots = 0,
): EngineModule {
  const parameters = parameterSpecs(architecture).map(({ name, engineShape: shape }) => ({
    ...{ name, shape },
    fixed: true,
  }));
  const predictions = Object.fromEntries(
    batchSizes.map((size) => [`predict_${size}`, predictFunction(architecture, size)] as const),
  );
  if (slots === 0) return { precision, variables: parameters, functions: predictions };
  const inSlots = slotFunctions(architecture, at(batchSizes, batchSizes.length - 1), slots);
  return {
    precision,
    variables: [...parameters, ...inSlots.variables],
    functions: { ...predictions, ...inSlots.functions },
  };
}
