/** The sampler's engine module: one network, at several batch sizes. */
import type { EngineModule, EnginePrecision } from '../../../shared/engine/index.js';
import { parameterSpecs, predictFunction } from '../../../shared/model/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';

/**
 * Functions `predict_<n>` for each batch size n: inputs `xT` [n, H, W, C], `t` [n] float32 (as the network was trained
 * to take it) and `y` [n] int32 where it has classes; output `modelOutput` [n, H, W, outChannels].
 * The variables are the network's parameters, under their own names.
 */
export function predictionModule(
  architecture: UNetConfig,
  batchSizes: readonly number[],
  precision: EnginePrecision = 'float32',
): EngineModule {
  return {
    precision,
    variables: parameterSpecs(architecture).map(({ name, engineShape }) => ({
      name,
      shape: engineShape,
      fixed: true,
    })),
    functions: Object.fromEntries(
      batchSizes.map((size) => [`predict_${size}`, predictFunction(architecture, size)]),
    ),
  };
}
