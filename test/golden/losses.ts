/** A golden file's losses and gradients, computed by an engine of ours. */
import { lossAndGradients, WEIGHTS } from '../../shared/training/training-step.js';
import type { NoisyBatch, TrainingStepConfig } from '../../shared/training/training-step.js';
import type { Engine, EngineModule, TensorSpec } from '../../shared/engine/index.js';
import type { Objective } from '../../shared/loss/index.js';
import { parameterSpecs } from '../../shared/model/index.js';
import { engineParameters, processOf, unetConfigOf, withModule, type GoldenTensors } from './reference.js';

export function lossConfigOf(golden: GoldenTensors, objective: Objective): TrainingStepConfig {
  return {
    architecture: unetConfigOf(golden),
    objective,
    ...processOf(golden),
    emaRates: [],
    // Nothing is updated.
    optimizer: { beta1: 0, beta2: 0, epsilon: 1 },
  };
}

/** Outputs of `lossAndGradients`, the gradients as `grad/<parameter>` in the engine's layout. */
export async function lossesOf(
  engine: Engine,
  golden: GoldenTensors,
  config: TrainingStepConfig,
): Promise<Record<string, Float32Array>> {
  const { architecture } = config;
  const [batchSize = 0] = golden.shape('x_start');
  const { imageSize, inChannels } = architecture;
  const images: TensorSpec = { shape: [batchSize, imageSize, imageSize, inChannels], dtype: 'float32' };
  const module: EngineModule = {
    variables: parameterSpecs(architecture).map(({ name, engineShape }) => ({
      name: `${WEIGHTS}${name}`,
      shape: engineShape,
    })),
    functions: {
      losses: {
        inputs: {
          xStart: images,
          epsilon: images,
          xi: images,
          t: { shape: [batchSize], dtype: 'int32' },
          lossWeights: { shape: [batchSize], dtype: 'float32' },
          gamma: { shape: [batchSize], dtype: 'float32' },
        },
        body: (inputs, variables) => {
          const { values, gradients } = lossAndGradients(config, variables, inputs as unknown as NoisyBatch);
          const named = Object.entries(gradients).map(([name, gradient]) => [`grad/${name}`, gradient] as const);
          return { outputs: { ...values, ...Object.fromEntries(named) } };
        },
      },
    },
  };
  return withModule(engine, module, async (loaded) => {
    await loaded.assign(new Map([...engineParameters(golden)].map(([name, value]) => [`${WEIGHTS}${name}`, value])));
    return loaded.run('losses', {
      xStart: golden.images('x_start'),
      epsilon: golden.images('epsilon'),
      xi: golden.images('xi'),
      t: golden.integers('t'),
      lossWeights: new Float32Array(batchSize).fill(1),
      gamma: new Float32Array(batchSize).fill(Number(golden.setting('input_perturbation_gamma'))),
    });
  });
}
