/** The gradient penalty of a whole network, as a training step takes it. */
import test from 'ava';

import { lossAndGradients, WEIGHTS } from '../../shared/training/training-step.js';
import type { NoisyBatch, TrainingStepConfig } from '../../shared/training/training-step.js';
import { createCompiledEngine, createEagerEngine, tf } from '../../shared/engine/index.js';
import type { Engine, EngineModule, EnginePrecision } from '../../shared/engine/index.js';
import type { GradientPenalty } from '../../shared/loss/index.js';
import { dropoutLayerCount, parameterSpecs } from '../../shared/model/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { livelyParameters, noiseTensor, smallNetwork } from '../model/networks.js';

const [eager, compiled] = [await createEagerEngine(), await createCompiledEngine()];

const NETWORK: UNetConfig = { ...smallNetwork, channelMult: [1, 2], numHeadChannels: 32, dropout: 0.2 };
const SHAPE = [2, 8, 8, 3];
/** Of finite differences in x_t. */
const H = 0.01;
/** Of the test's own, in the parameters. */
const STEP = 3e-3;
const ESTIMATORS = ['hutchinson', 'finite_difference'] as const;

interface Asked {
  readonly penalty?: Partial<GradientPenalty>;
  readonly precision?: EnginePrecision;
}

function module({ penalty = {}, precision = 'float32' }: Asked): EngineModule {
  const gradientPenalty = { weight: 1, estimator: 'hutchinson', stepSize: H, ...penalty } as const;
  const config: TrainingStepConfig = {
    architecture: NETWORK,
    objective: {
      ...{ meanType: 'epsilon', varianceType: 'learned_range', lossType: 'mse', target: 'epsilon' },
      ...(gradientPenalty.weight > 0 && { gradientPenalty }),
    },
    ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 100 })),
    emaRates: [],
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  };
  const keys = Int32Array.from({ length: 2 * dropoutLayerCount(NETWORK) }, (_, i) => i);
  return {
    precision,
    variables: parameterSpecs(NETWORK).map(({ name, engineShape }) => ({
      name: `${WEIGHTS}${name}`,
      shape: engineShape,
    })),
    functions: {
      losses: {
        inputs: {},
        body: (_, variables) => {
          const batch: NoisyBatch = {
            xStart: tf.tanh(noiseTensor('x0', SHAPE)),
            t: tf.tensor1d([20, 70], 'int32'),
            lossWeights: tf.ones([2]),
            epsilon: noiseTensor('epsilon', SHAPE),
            xi: noiseTensor('xi', SHAPE),
            gamma: tf.zeros([2]),
            rademacher: tf.sign(noiseTensor('rademacher', SHAPE)),
            dropout: { keys: tf.tensor2d(keys, [keys.length / 2, 2], 'int32') },
          };
          const { values, gradients } = lossAndGradients(config, variables, batch);
          return { outputs: { ...values, ...gradients } };
        },
      },
    },
  };
}

type Values = ReadonlyMap<string, Float32Array>;
type Results = Readonly<Record<string, Float32Array>>;

const START: Values = livelyParameters(NETWORK);

/** Gives `use` a function from weights to losses, and gradients by parameter. */
async function lent<T>(
  engine: Engine,
  asked: Asked,
  use: (at: (weights: Values) => Promise<Results>) => Promise<T>,
): Promise<T> {
  const loaded = await engine.load(module(asked));
  try {
    return await use(async (weights) => {
      await loaded.assign(new Map([...weights].map(([name, value]) => [`${WEIGHTS}${name}`, value])));
      return loaded.run('losses', {});
    });
  } finally {
    await loaded.dispose();
  }
}

const results = (engine: Engine, asked: Asked): Promise<Results> => lent(engine, asked, (at) => at(START));
const onCompiled = {
  hutchinson: await results(compiled, {}),
  finite_difference: await results(compiled, { penalty: { estimator: 'finite_difference' } }),
};
const norm = (values: Iterable<Float32Array>): number =>
  Math.hypot(...Array.from(values, (each) => Math.hypot(...each)));
const difference = (a: Float32Array | undefined, b: Float32Array | undefined): Float32Array =>
  Float32Array.from(a ?? [], (each, i) => each - (b?.[i] ?? NaN));
const penaltyOf = ({ gradientPenalty }: Results): number => gradientPenalty?.[0] ?? NaN;

/** Parameters by the kind of layer that they belong to. */
function kinds(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of START.keys()) {
    const kind = name
      .replace(/\.(weight|bias)$/, '')
      .replace(/^(input|middle|output)_blocks?(\.\d+)*\.?/, '');
    found.set(kind, [...(found.get(kind) ?? []), name]);
  }
  return found;
}

for (const estimator of ESTIMATORS) {
  test.serial(`its gradient is that of differences, in every kind of layer: ${estimator}`, async (t) => {
    const none = await results(compiled, { penalty: { weight: 0 } });
    await lent(compiled, { penalty: { estimator } }, async (at) => {
      const some = onCompiled[estimator];
      for (const [kind, names] of kinds()) {
        // Uphill, where the change is largest beside float32's rounding.
        const gradient = new Map(names.map((name) => [name, difference(some[name], none[name])]));
        const slope = norm(gradient.values());
        const moved = (by: number): Values =>
          new Map(
            [...START].map(([name, value]) => [
              name,
              value.map((each, i) => each + (by * (gradient.get(name)?.[i] ?? 0)) / slope),
            ]),
          );
        const [ahead, behind] = [penaltyOf(await at(moved(STEP))), penaltyOf(await at(moved(-STEP)))];
        const error = (ahead - behind) / (2 * STEP) / slope - 1;
        t.true(slope > 0 && Math.abs(error) < 0.01, `${kind}: off by ${error}`);
      }
    });
  });

  test.serial(`both engines give the same losses and gradients: ${estimator}`, async (t) => {
    const [wanted, got] = [await results(eager, { penalty: { estimator } }), onCompiled[estimator]];
    const scale = norm(Object.values(wanted));
    // Differences magnify rounding by 1 / h.
    const tolerance = estimator === 'hutchinson' ? 1e-5 : 1e-4;
    t.true(penaltyOf(wanted) > 0);
    for (const [name, values] of Object.entries(wanted)) {
      const error = norm([difference(got[name], values)]) / scale;
      t.true(error < tolerance, `${name}: off by ${error}`);
    }
  });
}

test.serial('in bfloat16 Hutchinson is off by its rounding', async (t) => {
  const [wanted, got] = [onCompiled.hutchinson, await results(compiled, { precision: 'bfloat16' })];
  t.true(Math.abs(penaltyOf(got) / penaltyOf(wanted) - 1) < 0.05);
  const error = norm(Object.entries(wanted).map(([name, values]) => difference(got[name], values)));
  t.true(error < 0.15 * norm(Object.values(wanted)));
});

test.serial('finite differences drop out the same values on both sides', async (t) => {
  const far = await results(compiled, { penalty: { estimator: 'finite_difference', stepSize: 2 * H } });
  // Values dropped on one side alone would count 1 / h^2: four times as much.
  t.true(Math.abs(penaltyOf(onCompiled.finite_difference) / penaltyOf(far) - 1) < 0.1);
});
