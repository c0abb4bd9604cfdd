/** Whole modules, traced against eager: the training run's, the sampler's, and small ones for the engine's promises. */
import test from 'ava';

import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import { trainingModule, updateInputs } from '../../../services/trainer/engine-process/training-module.js';
import type { TrainingModuleConfig } from '../../../services/trainer/engine-process/training-module.js';
import { tf } from '../../../shared/engine/index.js';
import type { EngineModule, LoadedModule } from '../../../shared/engine/index.js';
import { deriveKey, gaussian, seedPair } from '../../../shared/foundation/index.js';
import { dropoutLayerCount, parameterSpecs } from '../../../shared/model/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';
import { makeBetas } from '../../../shared/noise/index.js';
import { compiled, onBoth, relativeDifference } from './both.js';
import type { Arrays } from './both.js';

const TOLERANCE = 1e-5;
const BATCH = 2;

const NETWORK: UNetConfig = {
  imageSize: 8,
  inChannels: 3,
  outChannels: 6,
  modelChannels: 32,
  numResBlocks: 1,
  attentionResolutions: [4],
  channelMult: [1, 2],
  dropout: 0.1,
  numHeads: 1,
  numHeadChannels: 32,
  useScaleShiftNorm: true,
  resblockUpdown: true,
  convResample: true,
  useNewAttentionOrder: true,
  numClasses: 3,
};
const PLAIN: UNetConfig = {
  ...NETWORK,
  dropout: 0,
  useScaleShiftNorm: false,
  resblockUpdown: false,
  useNewAttentionOrder: false,
  numClasses: undefined,
  outChannels: 3,
};

// Adam divides by a gradient's size. Of gradients that are 0 but for rounding that would make steps of full size, and
// so a comparison of roundings; an epsilon above them doesn't.
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-3 };
const EMA = 0.999;

function training(architecture: UNetConfig, accumulationSteps: number): TrainingModuleConfig {
  const learned = architecture.outChannels === 6;
  return {
    architecture,
    objective: {
      meanType: 'epsilon',
      varianceType: learned ? 'learned_range' : 'fixed_small',
      lossType: 'mse',
    },
    betas: makeBetas({ name: 'cosine', timesteps: 100 }),
    rescaleTimesteps: true,
    emaRates: [EMA],
    optimizer: ADAM,
    batchSize: BATCH,
    accumulationSteps,
    predictBatchSizes: [1],
  };
}

function batch({ imageSize, inChannels, dropout, ...architecture }: UNetConfig, step: number): Arrays {
  const pair = (purpose: string): Int32Array => Int32Array.from(seedPair(7n, purpose, step));
  const layers = dropoutLayerCount({ imageSize, inChannels, dropout, ...architecture });
  return {
    pixels: Uint8Array.from(
      { length: BATCH * imageSize ** 2 * inChannels },
      (_, i) => (i * 37 + step * 11) % 256,
    ),
    // Not t = 0: there the bound is the log of a difference of two nearly equal numbers, which magnifies rounding.
    t: Int32Array.from({ length: BATCH }, (_, i) => 1 + ((step * 31 + i * 17) % 99)),
    lossWeights: Float32Array.from({ length: BATCH }, (_, i) => 1 + i / 4),
    gamma: Float32Array.of(0.1),
    noiseKey: pair('noise'),
    xiKey: pair('xi'),
    ...(dropout > 0 && {
      dropoutKeys: Int32Array.from({ length: 2 * layers }, (_, i) => pair(`dropout/${i >> 1}`)[i % 2] ?? 0),
    }),
    ...(architecture.numClasses !== undefined && { y: Int32Array.from({ length: BATCH }, (_, i) => i) }),
  };
}

const rates = (step: number) =>
  updateInputs(
    { ...ADAM, learningRate: 1e-3, annealSteps: 0, weightDecay: 0.01, emaRates: [EMA], emaWarmUp: true },
    step,
  );

/** Parameters that leave no layer without effect. */
function parameters(architecture: UNetConfig, prefix = ''): Map<string, Float32Array> {
  return new Map(
    parameterSpecs(architecture).map(({ name, engineShape }) => {
      const size = engineShape.reduce((product, length) => product * length, 1);
      const scale =
        0.5 / Math.sqrt(engineShape.slice(0, -1).reduce((product, length) => product * length, 1));
      const values = gaussian(deriveKey(3n, name), [], size).map((value) => value * scale);
      return [`${prefix}${name}`, values];
    }),
  );
}

type Log = Record<string, Float32Array>;

/** Every output of three updates and every variable after them, by name. */
async function trained(
  loaded: LoadedModule,
  config: TrainingModuleConfig,
  names: readonly string[],
): Promise<Log> {
  await loaded.assign(parameters(config.architecture, 'weights/'));
  await loaded.assign(parameters(config.architecture, `ema_${EMA}/`));
  const log: Log = {};
  const note = (step: string, results: Log): void => {
    for (const [name, values] of Object.entries(results)) log[`${step} ${name}`] = values;
  };
  for (const step of [0, 1, 2]) {
    if (config.accumulationSteps === 1) {
      note(
        `step ${step}`,
        await loaded.run('trainStep', { ...batch(config.architecture, step), ...rates(step) }),
      );
    } else {
      for (const pass of [0, 1]) {
        note(
          `pass ${step}.${pass}`,
          await loaded.run('accumulate', batch(config.architecture, 2 * step + pass)),
        );
      }
      note(`step ${step}`, await loaded.run('applyGradients', rates(step)));
    }
  }
  return { ...log, ...Object.fromEntries(await loaded.read(names)) };
}

for (const [title, architecture, accumulationSteps] of [
  ['with dropout, classes and a learned variance', NETWORK, 1],
  ['in several passes', PLAIN, 2],
] as const) {
  test(`three training steps ${title}: traced equals eager`, async (t) => {
    const config = training(architecture, accumulationSteps);
    const module = trainingModule(config);
    const names = module.variables.map(({ name }) => name);
    const [wanted, got] = await onBoth(module, (loaded) => trained(loaded, config, names));
    t.deepEqual(Object.keys(got), Object.keys(wanted));
    for (const group of ['weights/', 'adam_m/', 'adam_v/', 'ema_', 'grad/']) {
      // One scale for all parameters: those whose gradient is nothing but rounding have none of their own.
      const [all, expected] = [got, wanted].map((log) => joined(log, group)) as [Float32Array, Float32Array];
      const difference = relativeDifference(all, expected);
      t.true(difference <= TOLERANCE, `${group}: off by ${difference}`);
    }
    for (const [name, values] of Object.entries(wanted).filter(([key]) => /^(step|pass) /.test(key))) {
      const difference = relativeDifference(got[name] ?? new Float32Array(), values);
      t.true(difference <= TOLERANCE, `${name}: off by ${difference}`);
    }
  });
}

/** All variables of a kind as one array; of mean squares the roots, which are of the gradients' size. */
function joined(log: Log, prefix: string): Float32Array {
  const parts = Object.entries(log).filter(([name]) => name.startsWith(prefix));
  const values = Float32Array.from(parts.flatMap(([, part]) => Array.from(part)));
  return prefix === 'adam_v/' ? values.map(Math.sqrt) : values;
}

for (const [title, architecture] of [
  ['with classes', NETWORK],
  ['of the plain kind', PLAIN],
] as const) {
  test(`predictions of a network ${title}: traced equals eager`, async (t) => {
    const { imageSize, inChannels, numClasses } = architecture;
    const [wanted, got] = await onBoth(predictionModule(architecture, [BATCH]), async (loaded) => {
      await loaded.assign(parameters(architecture));
      return loaded.run(`predict_${BATCH}`, {
        xT: gaussian(deriveKey(5n, 'x'), [], BATCH * imageSize ** 2 * inChannels),
        t: Float32Array.of(3, 77),
        ...(numClasses !== undefined && { y: Int32Array.of(2, 0) }),
      });
    });
    const difference = relativeDifference(
      got['modelOutput'] ?? new Float32Array(),
      wanted['modelOutput'] ?? new Float32Array(),
    );
    t.true(difference <= TOLERANCE, `off by ${difference}`);
  });
}

test("an image's bytes depend neither on the batch's size nor on its place in it", async (t) => {
  const sizes = [1, 2, 3, 5, 8];
  const images = 30;
  const loaded = await compiled.load(predictionModule(PLAIN, sizes));
  await loaded.assign(parameters(PLAIN));
  const size = PLAIN.imageSize ** 2 * PLAIN.inChannels;
  const xT = gaussian(deriveKey(6n, 'x'), [], images * size);
  const told = Float32Array.from({ length: images }, (_, i) => (i * 37) % 100);
  const [alone, ...together] = await Promise.all(
    sizes.map(async (n) => {
      const results: Float32Array[] = [];
      for (let i = 0; i + n <= images; i += n) {
        const inputs = { xT: xT.slice(i * size, (i + n) * size), t: told.slice(i, i + n) };
        const { modelOutput = new Float32Array() } = await loaded.run(`predict_${n}`, inputs);
        for (let row = 0; row < n; row++) results.push(modelOutput.slice(row * size, (row + 1) * size));
      }
      return results;
    }),
  );
  for (const rows of together) t.deepEqual(rows, alone?.slice(0, rows.length));
  await loaded.dispose();
});

/** Two variables that swap, unless `commit` is 0. */
const SWAP: EngineModule = {
  variables: ['a', 'b'].map((name) => ({ name, shape: [2] })),
  functions: {
    swap: {
      inputs: { commit: { shape: [], dtype: 'float32' } },
      body: ({ commit }, { a, b }) => ({
        outputs: { a: a as tf.Tensor, b: b as tf.Tensor },
        updates: { a: b as tf.Tensor, b: a as tf.Tensor },
        commit: commit as tf.Tensor,
      }),
    },
    // Fails in the graph, after other updates could have been stored.
    failing: {
      inputs: { index: { shape: [1], dtype: 'int32' } },
      body: ({ index }, { a, b }) => ({
        outputs: {},
        updates: {
          a: tf.add(a as tf.Tensor, 1),
          b: tf.concat([tf.gather(b as tf.Tensor1D, index as tf.Tensor1D), tf.zeros([1])]),
        },
      }),
    },
  },
};
const A = Float32Array.of(1, 2);
const B = Float32Array.of(3, 4);

test('a run sees variables as they were before it, and stores updates unless told not to', async (t) => {
  const loaded = await compiled.load(SWAP);
  t.deepEqual([...(await loaded.read(['a', 'b'])).values()], [new Float32Array(2), new Float32Array(2)]);
  await loaded.assign(
    new Map([
      ['a', A],
      ['b', B],
    ]),
  );
  t.deepEqual(await loaded.run('swap', { commit: Float32Array.of(0) }), { a: A, b: B });
  t.deepEqual(await loaded.run('swap', { commit: Float32Array.of(1) }), { a: A, b: B });
  t.deepEqual(
    await loaded.read(['b', 'a']),
    new Map([
      ['b', A],
      ['a', B],
    ]),
  );
  await loaded.dispose();
});

test('a run that fails stores nothing, and says why', async (t) => {
  const loaded = await compiled.load(SWAP);
  await loaded.assign(
    new Map([
      ['a', A],
      ['b', B],
    ]),
  );
  await t.throwsAsync(loaded.run('failing', { index: Int32Array.of(9) }), {
    code: 'INTERNAL',
    message: /indices/,
  });
  t.deepEqual([...(await loaded.read(['a', 'b'])).values()], [A, B]);
  await loaded.dispose();
});

test('calls of one module run one after another, in order', async (t) => {
  const loaded = await compiled.load(SWAP);
  const [, , read] = await Promise.all([
    loaded.assign(
      new Map([
        ['a', A],
        ['b', B],
      ]),
    ),
    loaded.run('swap', { commit: Float32Array.of(1) }),
    loaded.read(['a', 'b']),
  ]);
  t.deepEqual([...read.values()], [B, A]);
  await loaded.dispose();
});

test('what does not fit is refused by name', async (t) => {
  const loaded = await compiled.load(SWAP);
  await t.throwsAsync(loaded.run('nothing', {}), { code: 'NOT_FOUND', message: /nothing/ });
  await t.throwsAsync(loaded.run('swap', {}), { code: 'INVALID_ARGUMENT', message: /commit/ });
  await t.throwsAsync(loaded.read(['c']), { code: 'NOT_FOUND', message: /variable c/ });
  await t.throwsAsync(loaded.assign(new Map([['c', A]])), { code: 'NOT_FOUND', message: /variable c/ });
  await t.throwsAsync(loaded.assign(new Map([['a', new Float32Array(3)]])), {
    code: 'INVALID_ARGUMENT',
    message: /a: wanted 2/,
  });
  await loaded.dispose();
  await t.throwsAsync(loaded.read(['a']), { code: 'FAILED_PRECONDITION' });
});

test('a profile names the operations and what they took', async (t) => {
  const loaded = await compiled.load(SWAP);
  const times = await loaded.profile('swap', { commit: Float32Array.of(1) });
  t.true(times.some(({ op }) => op === 'AssignVariableOp'));
  t.true(times.every(({ startMicroseconds, microseconds }) => startMicroseconds >= 0 && microseconds >= 0));
  await loaded.dispose();
});

test('modules have variables of their own', async (t) => {
  const [one, two] = [await compiled.load(SWAP), await compiled.load(SWAP)];
  await one.assign(new Map([['a', A]]));
  await two.assign(new Map([['a', B]]));
  t.deepEqual(await one.read(['a']), new Map([['a', A]]));
  await one.dispose();
  t.deepEqual(await two.read(['a']), new Map([['a', B]]));
  await two.dispose();
});

test.serial('no tensor outlives loading, running and disposing', async (t) => {
  const before = tf.memory().numTensors;
  const module = predictionModule(PLAIN, [1]);
  const loaded = await compiled.load(module);
  const { imageSize, inChannels } = PLAIN;
  await loaded.run('predict_1', { xT: new Float32Array(imageSize ** 2 * inChannels), t: Float32Array.of(1) });
  t.is(tf.memory().numTensors, before);
  t.is(tf.findBackend('graph').numDataIds(), 0);
  await loaded.dispose();
});
