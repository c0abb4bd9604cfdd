/** The trainer's engine module: steps, accumulation, refusal of what isn't finite, predictions. */
import test from 'ava';
import { predictionName, trainingModule, stepInputs } from '../../shared/training/training-module.js';
import type { TrainingModuleConfig } from '../../shared/training/training-module.js';
import { accumulateOn, trainOn } from '../../shared/training/training-step.js';
import type { NoisyBatch } from '../../shared/training/training-step.js';
import type { AdamWRates } from '../../shared/optimizer/index.js';
import { createEagerEngine, tf } from '../../shared/engine/index.js';
import type { EngineArray, EngineModule, LoadedModule, TensorSpec } from '../../shared/engine/index.js';
import { dropoutLayerCount, parameterSpecs } from '../../shared/model/index.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { livelyParameters, noiseArray, smallNetwork } from '../model/networks.js';

const engine = await createEagerEngine();

const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const architecture = { ...smallNetwork, channelMult: [1], attentionResolutions: [] };
const PIXELS = 8 * 8 * 3;

const config: TrainingModuleConfig = {
  architecture,
  objective: {
    meanType: 'epsilon',
    varianceType: 'learned_range',
    lossType: 'rescaled_mse',
    target: 'epsilon',
  },
  ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 100 })),
  emaRates: [0.9, 0.99],
  optimizer: ADAM,
  batchSize: 4,
  accumulationSteps: 1,
  predictBatchSizes: [2],
};

const settings = {
  ...ADAM,
  learningRate: 1e-3,
  annealSteps: 0,
  weightDecay: 0.01,
  emaRates: config.emaRates,
  emaWarmUp: false,
};

async function loadWithWeights(of: TrainingModuleConfig): Promise<LoadedModule> {
  const loaded = await engine.load(trainingModule(of));
  const weights = livelyParameters(of.architecture);
  for (const prefix of ['weights/', 'ema_0.9/', 'ema_0.99/']) {
    await loaded.assign(new Map([...weights].map(([name, value]) => [`${prefix}${name}`, value])));
  }
  return loaded;
}

function pass(size: number, changes: Record<string, EngineArray> = {}): Record<string, EngineArray> {
  return {
    pixels: Uint8Array.from(noiseArray('pixels', size * PIXELS), (value) =>
      Math.min(255, Math.abs(80 * value)),
    ),
    t: Int32Array.from({ length: size }, (_, i) => (i * 29) % 100),
    lossWeights: new Float32Array(size).fill(1),
    gamma: new Float32Array(size).fill(0.1),
    noiseKey: Int32Array.of(1, 2),
    xiKey: Int32Array.of(3, 4),
    ...changes,
  };
}

async function snapshot(loaded: LoadedModule, of: TrainingModuleConfig): Promise<Map<string, Float32Array>> {
  return loaded.read(trainingModule(of).variables.map(({ name }) => name));
}

test.serial(
  'a step moves raw weights, moments and EMA weights, and keeps no other tensor [fault 72]',
  async (t) => {
    const loaded = await loadWithWeights(config);
    const before = await snapshot(loaded, config);
    const live = tf.memory().numTensors;
    const outputs = await loaded.run('trainStep', { ...pass(4), ...stepInputs(settings, 0) });
    t.is(tf.memory().numTensors, live);
    t.deepEqual(Object.keys(outputs).sort(), [
      'finite',
      'gradNorm',
      'inputNoiseVariance',
      'loss',
      'losses',
      'mse',
      'paramNorm',
      'vlb',
    ]);
    t.is(outputs['losses']?.length, 4);
    t.is(outputs['finite']?.[0], 1);
    for (const [name, value] of await snapshot(loaded, config)) {
      t.notDeepEqual(value, before.get(name), name);
    }
    await loaded.dispose();
  },
);

test.serial('the same inputs give the same bytes, and each key counts', async (t) => {
  const lossOf = async (changes: Record<string, EngineArray>): Promise<Float32Array | undefined> => {
    const loaded = await loadWithWeights(config);
    const { losses } = await loaded.run('trainStep', { ...pass(4, changes), ...stepInputs(settings, 0) });
    await loaded.dispose();
    return losses;
  };
  const losses = await lossOf({});
  t.deepEqual(await lossOf({}), losses);
  for (const changes of [{ noiseKey: Int32Array.of(1, 3) }, { xiKey: Int32Array.of(3, 5) }]) {
    t.notDeepEqual(await lossOf(changes), losses);
  }
  // Without perturbation its key is without effect.
  const gamma = new Float32Array(4);
  t.deepEqual(await lossOf({ gamma, xiKey: Int32Array.of(3, 5) }), await lossOf({ gamma }));
});

test.serial('dropout is part of a step and follows its keys', async (t) => {
  const of = { ...config, architecture: { ...architecture, dropout: 0.3 } };
  const layers = dropoutLayerCount(architecture);
  const lossOf = async (first: number): Promise<Float32Array | undefined> => {
    const loaded = await loadWithWeights(of);
    const dropoutKeys = Int32Array.from({ length: 2 * layers }, (_, i) => first + i);
    const { losses } = await loaded.run('trainStep', {
      ...pass(4, { dropoutKeys }),
      ...stepInputs(settings, 0),
    });
    await loaded.dispose();
    return losses;
  };
  t.deepEqual(await lossOf(1), await lossOf(1));
  t.notDeepEqual(await lossOf(1), await lossOf(2));
});

test.serial('a step that is not finite changes nothing [fault 70]', async (t) => {
  const loaded = await loadWithWeights(config);
  const before = await snapshot(loaded, config);
  const lossWeights = Float32Array.of(1, 1, NaN, 1);
  const { finite } = await loaded.run('trainStep', {
    ...pass(4, { lossWeights }),
    ...stepInputs(settings, 0),
  });
  t.is(finite?.[0], 0);
  t.deepEqual(await snapshot(loaded, config), before);
  await loaded.dispose();
});

/** The module's variables, and its steps with the noise as an input. */
function withExplicitNoise(of: TrainingModuleConfig, passSize: number): EngineModule {
  const images: TensorSpec = { shape: [passSize, 8, 8, 3], dtype: 'float32' };
  const rows: TensorSpec = { shape: [passSize], dtype: 'float32' };
  const batch = {
    xStart: images,
    epsilon: images,
    xi: images,
    t: { ...rows, dtype: 'int32' } as const,
    lossWeights: rows,
    gamma: rows,
  };
  const { variables, functions } = trainingModule(of);
  const rates = Object.fromEntries(
    Object.keys(stepInputs(settings, 0)).map((name) => [
      name,
      { shape: name === 'emaWeights' ? [of.emaRates.length] : [], dtype: 'float32' } as const,
    ]),
  );
  return {
    variables,
    functions: {
      ...functions,
      trainOn: {
        inputs: { ...batch, ...rates },
        body: (inputs, values) =>
          trainOn(of, values, inputs as unknown as NoisyBatch, inputs as unknown as AdamWRates),
      },
      accumulateOn: {
        inputs: batch,
        body: (inputs, values) =>
          accumulateOn(of, values, inputs as unknown as NoisyBatch, of.accumulationSteps),
      },
    },
  };
}

test.serial('the average of accumulated passes is the gradient of the whole batch', async (t) => {
  const examples = (from: number, count: number): Record<string, EngineArray> => {
    const images = (name: string): Float32Array =>
      noiseArray(name, 8 * PIXELS).slice(from * PIXELS, (from + count) * PIXELS);
    return {
      xStart: images('x0').map((value) => Math.tanh(value)),
      epsilon: images('epsilon'),
      xi: images('xi'),
      t: Int32Array.from({ length: count }, (_, i) => (from + i) * 12),
      lossWeights: Float32Array.from({ length: count }, (_, i) => 0.5 + 0.2 * (from + i)),
      gamma: new Float32Array(count).fill(0.1),
    };
  };
  const weights = new Map(
    [...livelyParameters(architecture)].map(([name, value]) => [`weights/${name}`, value]),
  );
  const whole = await engine.load(withExplicitNoise(config, 8));
  await whole.assign(weights);
  await whole.run('trainOn', { ...examples(0, 8), ...stepInputs(settings, 0) });

  const accumulating = { ...config, accumulationSteps: 2 };
  const halves = await engine.load(withExplicitNoise(accumulating, 4));
  await halves.assign(weights);
  for (const from of [0, 4]) t.is((await halves.run('accumulateOn', examples(from, 4)))['finite']?.[0], 1);
  t.is((await halves.run('applyGradients', stepInputs(settings, 0)))['finite']?.[0], 1);

  // After the first step the first moment is the gradient times 1 - beta1.
  const names = parameterSpecs(architecture).map(({ name }) => `adam_m/${name}`);
  const [ours, wanted] = [await halves.read(names), await whole.read(names)];
  const largest = (values: Float32Array): number =>
    values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = Math.max(...[...wanted.values()].map(largest));
  for (const [name, value] of wanted) {
    const error = largest(value.map((element, i) => element - (ours.get(name)?.[i] ?? NaN))) / scale;
    t.true(error <= 1e-5, `${name}: ${error}`);
  }
  const gathered = await halves.read(parameterSpecs(architecture).map(({ name }) => `grad/${name}`));
  for (const value of gathered.values()) t.true(value.every((element) => element === 0));
  await whole.dispose();
  await halves.dispose();
});

test.serial('a pass that is not finite is not accumulated', async (t) => {
  const of = { ...config, accumulationSteps: 2 };
  const loaded = await loadWithWeights(of);
  const { finite } = await loaded.run('accumulate', pass(4, { gamma: new Float32Array(4).fill(Infinity) }));
  t.is(finite?.[0], 0);
  const gathered = await loaded.read(parameterSpecs(architecture).map(({ name }) => `grad/${name}`));
  for (const value of gathered.values()) t.true(value.every((element) => element === 0));
  await loaded.dispose();
});

test.serial('predictions come from the raw weights or from the EMA weights that are named', async (t) => {
  const loaded = await loadWithWeights(config);
  const inputs = { xT: noiseArray('xT', 2 * PIXELS), t: Float32Array.of(3, 77) };
  const predict = async (source: Parameters<typeof predictionName>[0]): Promise<Float32Array | undefined> =>
    (await loaded.run(predictionName(source, 2), inputs))['modelOutput'];
  const start = await predict('weights');
  t.deepEqual(await predict({ emaRate: 0.9 }), start);
  await loaded.run('trainStep', { ...pass(4), ...stepInputs({ ...settings, learningRate: 0.1 }, 0) });
  const [weights, fast, slow] = [
    await predict('weights'),
    await predict({ emaRate: 0.9 }),
    await predict({ emaRate: 0.99 }),
  ];
  const moved = (values: Float32Array | undefined): number =>
    Math.hypot(...(values ?? []).map((value, i) => value - (start?.[i] ?? NaN)));
  t.true(moved(weights) > moved(fast) && moved(fast) > moved(slow) && moved(slow) > 0);
  await loaded.dispose();
});

test("a step's rates depend on how many steps came before", (t) => {
  const inputs = stepInputs({ ...settings, learningRate: 2, annealSteps: 10, emaWarmUp: true }, 5);
  t.deepEqual(Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, [...value]])), {
    learningRate: [1],
    weightDecay: [Math.fround(0.01)],
    biasCorrection1: [Math.fround(1 - 0.9 ** 6)],
    biasCorrection2: [Math.fround(1 - 0.999 ** 6)],
    emaWeights: [Math.fround(1 - 6 / 15), Math.fround(1 - 6 / 15)],
  });
});
