/** The network as a function of an engine module. */
import { tf } from '../engine/index.js';
import type { ModuleFunction, Tensors, TensorSpec } from '../engine/index.js';
import type { UNetConfig } from './config.js';
import { parameterSpecs } from './parameters.js';
import { unet } from './unet.js';

/**
 * Inputs `xT` [batchSize, H, W, C], `t` [batchSize] float32, and `y` [batchSize] int32, -1 for no class, where the network
 * has classes; output `modelOutput` [batchSize, H, W, outChannels].
 *
 * @param variablePrefix What stands before the parameters' names in the module's variables.
 */
export function predictFunction(config: UNetConfig, batchSize: number, variablePrefix = ''): ModuleFunction {
  const { imageSize, inChannels } = config;
  const inputs: Record<string, TensorSpec> = {
    xT: { shape: [batchSize, imageSize, imageSize, inChannels], dtype: 'float32' },
    t: { shape: [batchSize], dtype: 'float32' },
  };
  if (config.numClasses !== undefined) inputs['y'] = { shape: [batchSize], dtype: 'int32' };
  return {
    inputs,
    body: ({ xT, t, y }, variables) => ({
      outputs: {
        modelOutput: unet(
          config,
          parametersOf(config, variables, variablePrefix),
          xT as tf.Tensor,
          t as tf.Tensor,
          { y },
        ),
      },
    }),
  };
}

/** The network's parameters among a module's variables. */
export function parametersOf(
  config: UNetConfig,
  variables: Tensors,
  prefix: string,
): Record<string, tf.Tensor> {
  return Object.fromEntries(
    parameterSpecs(config).map(({ name }) => [name, variables[`${prefix}${name}`] as tf.Tensor]),
  );
}
