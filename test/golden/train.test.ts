/** Three steps of training against the reference's: losses, raw weights and EMA weights. */
import type { ExecutionContext } from 'ava';
import { trainingModule, stepInputs } from '../../shared/training/training-module.js';
import type { TrainingModuleConfig } from '../../shared/training/training-module.js';
import { emaPrefix, trainOn, WEIGHTS } from '../../shared/training/training-step.js';
import type { NoisyBatch } from '../../shared/training/training-step.js';
import type { AdamWRates } from '../../shared/optimizer/index.js';
import type { EngineModule, TensorSpec } from '../../shared/engine/index.js';
import { skipTest, testOnEngines } from './engines.js';
import { goldenNames } from './golden.js';
import { engineParameters, GoldenTensors, objectiveOf, processOf, storedParameters, unetConfigOf, withModule } from './reference.js';

const LOSS_TOLERANCE = 1e-3;
/** Of the largest change that training made to a value. */
const TOLERANCE = 0.02;
const SHARE_WITHIN = 0.9999;
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

for (const name of goldenNames('train_')) {
  const golden = new GoldenTensors(name);
  const objective = objectiveOf(golden);
  if (typeof objective === 'string') {
    skipTest(name, objective);
    continue;
  }
  testOnEngines(`the steps of ${name} are the reference's`, async (t, engine) => {
    const [batchSize = 0] = golden.shape('step0/x_start');
    const emaRate = Number(golden.setting('ema_rate'));
    const config: TrainingModuleConfig = {
      architecture: unetConfigOf(golden),
      objective,
      ...processOf(golden),
      emaRates: [emaRate],
      optimizer: ADAM,
      batchSize,
      accumulationSteps: 1,
      predictBatchSizes: [],
    };
    await withModule(engine, withExplicitNoise(config), async (module) => {
      const start = engineParameters(golden);
      for (const prefix of [WEIGHTS, emaPrefix(emaRate)]) {
        await module.assign(new Map([...start].map(([parameter, value]) => [`${prefix}${parameter}`, value])));
      }
      const settings = {
        ...ADAM,
        learningRate: Number(golden.setting('lr')),
        annealSteps: 0,
        weightDecay: Number(golden.setting('weight_decay')),
        emaRates: [emaRate],
        emaWarmUp: false,
      };
      for (const [step, wanted] of golden.floats('losses').entries()) {
        const results = await module.run('trainOn', {
          xStart: golden.images(`step${step}/x_start`),
          epsilon: golden.images(`step${step}/epsilon`),
          xi: golden.images(`step${step}/xi`),
          t: golden.integers(`step${step}/t`),
          lossWeights: new Float32Array(batchSize).fill(1),
          gamma: new Float32Array(batchSize).fill(Number(golden.setting('input_perturbation_gamma'))),
          ...stepInputs(settings, step),
        });
        const loss = results['loss']?.[0] ?? NaN;
        t.true(Math.abs(loss - wanted) <= LOSS_TOLERANCE * wanted, `loss of step ${step}: ${loss} for ${wanted}`);
      }
      const { architecture } = config;
      checkChange(t, golden, 'final/', await storedParameters(module, architecture, WEIGHTS));
      checkChange(t, golden, 'ema/', await storedParameters(module, architecture, emaPrefix(emaRate)));
    });
  });
}

/** The trainer's variables and its step, but with the noise as an input. */
function withExplicitNoise(config: TrainingModuleConfig): EngineModule {
  const { variables, functions } = trainingModule(config);
  const drawn = ['pixels', 'noiseKey', 'xiKey'];
  const inputs = Object.entries(functions['trainStep']?.inputs ?? {});
  const { imageSize, inChannels } = config.architecture;
  const images: TensorSpec = { shape: [config.batchSize, imageSize, imageSize, inChannels], dtype: 'float32' };
  return {
    variables,
    functions: {
      trainOn: {
        inputs: {
          ...Object.fromEntries(inputs.filter(([name]) => !drawn.includes(name))),
          xStart: images,
          epsilon: images,
          xi: images,
        },
        body: (given, values) =>
          trainOn(config, values, given as unknown as NoisyBatch, given as unknown as AdamWRates),
      },
    },
  };
}

function checkChange(
  t: ExecutionContext,
  golden: GoldenTensors,
  prefix: 'final/' | 'ema/',
  ours: ReadonlyMap<string, Float32Array>,
): void {
  const start = new GoldenTensors(golden.setting('weights_file')).parameters('weights/');
  const ignored = JSON.parse(golden.setting('gradients_zero_in_exact_arithmetic')) as string[];
  const changes: number[] = [];
  const errors: number[] = [];
  for (const [name, wanted] of golden.parameters(prefix)) {
    if (ignored.includes(name)) continue;
    wanted.forEach((value, i) => {
      changes.push(Math.abs(value - (start.get(name)?.[i] ?? NaN)));
      errors.push(Math.abs(value - (ours.get(name)?.[i] ?? NaN)));
    });
  }
  const largestChange = changes.reduce((most, change) => Math.max(most, change), 0);
  const within = errors.filter((error) => error <= TOLERANCE * largestChange).length / errors.length;
  t.log(`${prefix}: ${(100 * within).toFixed(3)} % of ${errors.length} values agree`);
  t.true(within >= SHARE_WITHIN);
}
