/** Training steps and predictions, traced against eager: fixed networks and drawn ones. */
import test from 'ava';

import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import { trainingModule } from '../../../shared/training/training-module.js';
import { deriveKey, gaussian, randomStream } from '../../../shared/random/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';
import { onBoth, relativeDifference } from './both.js';
import { BATCH, NETWORK, PLAIN, parameters, trained, trainedDifferences, training } from './training.js';

const TOLERANCE = 1e-5;

/** A network of sizes drawn from a seed: whatever a recipe may ask for, small. */
function drawnNetwork(seed: bigint): UNetConfig {
  const random = randomStream(deriveKey(seed, 'a small network'), []);
  const oneOf = <T>(values: readonly T[]): T => values[random.integer(values.length)] as T;
  const levels = oneOf([1, 2]);
  return {
    imageSize: 8,
    inChannels: oneOf([1, 3]),
    outChannels: 0,
    modelChannels: 32,
    numResBlocks: oneOf([1, 2]),
    channelMult: Array.from({ length: levels }, () => oneOf([1, 2])),
    attentionResolutions: oneOf([[], [4], [8]]),
    dropout: oneOf([0, 0.3]),
    numHeads: oneOf([1, 2]),
    numHeadChannels: -1,
    useScaleShiftNorm: oneOf([true, false]),
    resblockUpdown: oneOf([true, false]),
    convResample: oneOf([true, false]),
    useNewAttentionOrder: oneOf([true, false]),
    numClasses: oneOf([undefined, 4]),
  };
}

const drawn = [1n, 2n, 3n].map((seed) => {
  const network = drawnNetwork(seed);
  const learned = seed % 2n === 0n;
  return [
    `of network ${seed.toString()}`,
    { ...network, outChannels: (learned ? 2 : 1) * network.inChannels },
    1,
  ] as const;
});

for (const [title, architecture, accumulationSteps] of [
  ['with dropout, classes and a learned variance', NETWORK, 1],
  ['in several passes', PLAIN, 2],
  ...drawn,
] as const) {
  test(`three training steps ${title}: traced equals eager`, async (t) => {
    const config = training(architecture, accumulationSteps);
    const module = trainingModule(config);
    const names = module.variables.map(({ name }) => name);
    const [wanted, got] = await onBoth(module, (loaded) => trained(loaded, config, names));
    t.deepEqual(Object.keys(got), Object.keys(wanted));
    for (const { name, difference, limit } of trainedDifferences(got, wanted, TOLERANCE))
      t.true(difference <= limit, `${name}: off by ${difference}`);
  });
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
        ...(numClasses !== undefined && { y: Int32Array.of(2, -1) }),
      });
    });
    const difference = relativeDifference(
      got['modelOutput'] ?? new Float32Array(),
      wanted['modelOutput'] ?? new Float32Array(),
    );
    t.true(difference <= TOLERANCE, `off by ${difference}`);
  });
}
