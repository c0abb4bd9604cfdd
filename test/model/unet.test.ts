/** The network as a whole: how it starts, what dropout does, and that an image doesn't depend on its neighbours. */
import test from 'ava';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { createCompiledEngine, createEagerEngine, tf } from '../../shared/engine/index.js';
import {
  dropoutLayerCount,
  initialParameters,
  parameterSpecs,
  toEngineLayout,
  unet,
} from '../../shared/model/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { livelyParameters, livelyTensors, noiseArray, noiseTensor, smallNetwork } from './networks.js';

const engine = await createEagerEngine();
// The one that serves images.
const compiled = await createCompiledEngine();

const variants: Readonly<Record<string, UNetConfig>> = {
  'all new switches': smallNetwork,
  'legacy attention, plain norm, convolutions that resample': {
    ...smallNetwork,
    useNewAttentionOrder: false,
    useScaleShiftNorm: false,
    resblockUpdown: false,
    numHeadChannels: -1,
  },
  'classes and pooling': { ...smallNetwork, numClasses: 5, resblockUpdown: false, convResample: false },
  'one channel and odd feature maps': {
    ...smallNetwork,
    imageSize: 12,
    attentionResolutions: [6],
    inChannels: 1,
    outChannels: 1,
  },
};

function labels(config: UNetConfig, count: number): { y?: Int32Array } {
  const { numClasses } = config;
  return numClasses === undefined ? {} : { y: Int32Array.from({ length: count }, (_, i) => i % numClasses) };
}

for (const [name, config] of Object.entries(variants)) {
  const rowSize = config.imageSize ** 2 * config.inChannels;
  const outputSize = config.imageSize ** 2 * config.outChannels;

  test.serial(`the output of a new network is exactly 0 (${name})`, async (t) => {
    const loaded = await engine.load(predictionModule(config, [2]));
    const initial = initialParameters(config, 3n);
    await loaded.assign(
      new Map(
        parameterSpecs(config).map((spec) => [
          spec.name,
          toEngineLayout(spec, initial.get(spec.name) ?? new Float32Array(0)),
        ]),
      ),
    );
    const { modelOutput } = await loaded.run('predict_2', {
      xT: noiseArray('x', 2 * rowSize),
      t: Float32Array.of(0, 999),
      ...labels(config, 2),
    });
    t.is(modelOutput?.length, 2 * outputSize);
    t.true(modelOutput?.every((value) => value === 0));
    await loaded.dispose();
  });

  test.serial(`an image is bit for bit the same in every batch and place (${name})`, async (t) => {
    const sizes = [1, 2, 3, 4, 8];
    const loaded = await compiled.load(predictionModule(config, sizes));
    await loaded.assign(livelyParameters(config));
    const x = noiseArray('rows', 8 * rowSize);
    const times = Float32Array.from({ length: 8 }, (_, i) => i * 140 + 3);
    const all = labels(config, 8).y;
    const answers = async (size: number): Promise<Float32Array[]> => {
      const rows: Float32Array[] = [];
      for (let start = 0; start + size <= 8; start += size) {
        const { modelOutput = new Float32Array(0) } = await loaded.run(`predict_${size}`, {
          xT: x.slice(start * rowSize, (start + size) * rowSize),
          t: times.slice(start, start + size),
          ...(all && { y: all.slice(start, start + size) }),
        });
        for (let i = 0; i < size; i++) rows.push(modelOutput.slice(i * outputSize, (i + 1) * outputSize));
      }
      return rows;
    };
    const alone = await answers(1);
    t.true(alone.every((row) => row.some((value) => value !== 0)));
    for (const size of sizes.slice(1)) {
      for (const [i, row] of (await answers(size)).entries()) {
        t.deepEqual(row, alone[i], `image ${i} in batches of ${size}`);
      }
    }
    await loaded.dispose();
  });
}

test.serial('dropout depends on its keys alone, and happens only where keys are given', (t) => {
  tf.tidy(() => {
    const config = { ...smallNetwork, dropout: 0.5 };
    const parameters = livelyTensors(config);
    const x = noiseTensor('dropout x', [2, 8, 8, 3]);
    const time = tf.tensor1d([10, 500]);
    const layers = dropoutLayerCount(config);
    const answer = (first?: number): number[] => {
      const keys = first === undefined ? undefined : Array.from({ length: 2 * layers }, (_, i) => first + i);
      const dropout = keys && { keys: tf.tensor2d(keys, [layers, 2], 'int32') };
      return [...unet(config, parameters, x, time, { dropout }).dataSync()];
    };
    t.deepEqual(answer(1), answer(1));
    t.notDeepEqual(answer(1), answer(2));
    t.notDeepEqual(answer(1), answer());
    t.deepEqual(answer(), [...unet(smallNetwork, parameters, x, time).dataSync()]);
  });
});

test.serial(
  'an image without a class is answered as by the network without classes, whatever its neighbour',
  (t) => {
    tf.tidy(() => {
      const config = { ...smallNetwork, numClasses: 3 };
      const parameters = livelyTensors(config);
      const x = noiseTensor('classless x', [2, 8, 8, 3]);
      const time = tf.tensor1d([10, 500]);
      const answer = (...classes: number[]): number[][] => {
        const y = tf.tensor1d(classes, 'int32');
        return tf.reshape(unet(config, parameters, x, time, { y }), [2, -1]).arraySync() as number[][];
      };
      const plain = tf.reshape(unet(smallNetwork, parameters, x, time), [2, -1]).arraySync() as number[][];
      t.deepEqual(answer(-1, -1), plain);
      t.deepEqual(answer(-1, 2), [plain[0], answer(0, 2)[1]]);
      t.notDeepEqual(answer(0, 2)[0], plain[0]);
    });
  },
);

test('there is a dropout layer in every residual block', (t) => {
  // Three levels: 3 + 2 resampling on the way down, 2 in the middle, 6 + 2 on the way up.
  t.is(dropoutLayerCount(smallNetwork), 15);
  t.is(dropoutLayerCount({ ...smallNetwork, resblockUpdown: false }), 11);
});

test('class labels are required by a network with classes, and refused by others', (t) => {
  tf.tidy(() => {
    const x = tf.zeros([1, 8, 8, 3]);
    const time = tf.tensor1d([0]);
    t.throws(() => unet({ ...smallNetwork, numClasses: 2 }, {}, x, time), { message: /class labels/ });
    t.throws(() => unet(smallNetwork, {}, x, time, { y: tf.tensor1d([0], 'int32') }), {
      message: /class labels/,
    });
  });
});
