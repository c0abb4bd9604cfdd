/** Networks of any parts, on one PJRT device and on two, against TensorFlow. */
import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import { deriveKey, gaussian, randomStream } from '../../../shared/random/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';
import { compiled, relativeDifference } from '../compiled/both.js';
import { NETWORK, parameters } from '../compiled/training.js';
import { held, onDevice } from './device.js';
import { testAll } from './plugin-file.js';

const NETWORKS = 4;
/** Which two devices don't divide. */
const ROWS = 3;
const TOLERANCE = 1e-5;

/** The n-th: each of its parts is drawn. */
function network(n: number): UNetConfig {
  const draws = randomStream(deriveKey(11n, 'networks'), [n]);
  const one = <T>(...choices: readonly T[]): T => choices[draws.integer(choices.length)] as T;
  return {
    ...NETWORK,
    dropout: 0,
    numResBlocks: one(1, 2),
    channelMult: one([1], [1, 2], [2, 1]),
    attentionResolutions: one([], [8], [4, 8]),
    ...one({ numHeads: 2, numHeadChannels: -1 }, { numHeads: 1, numHeadChannels: 32 }),
    useScaleShiftNorm: one(true, false),
    resblockUpdown: one(true, false),
    useNewAttentionOrder: one(true, false),
    ...one({ numClasses: 3, outChannels: 6 }, { numClasses: undefined, outChannels: 3 }),
  };
}

for (let n = 0; n < NETWORKS; n++) {
  const architecture = network(n);
  testAll(`a network of drawn parts computes what TensorFlow does: ${n}`, async (t) => {
    const { imageSize, inChannels, numClasses } = architecture;
    const module = predictionModule(architecture, [ROWS], 'float32');
    const inputs = {
      xT: gaussian(deriveKey(12n, `x ${n}`), [], ROWS * imageSize ** 2 * inChannels),
      t: Float32Array.from({ length: ROWS }, (_, i) => 7 + 31 * i),
      ...(numClasses !== undefined && { y: Int32Array.from({ length: ROWS }, (_, i) => i - 1) }),
    };
    const reference = await compiled.load(module);
    await reference.assign(parameters(architecture));
    const { modelOutput: wanted = new Float32Array() } = await reference.run(`predict_${ROWS}`, inputs);
    await reference.dispose();
    t.log(JSON.stringify(architecture));
    for (const devices of [1, 2]) {
      const got = await onDevice(
        module,
        async (loaded) => {
          await loaded.assign(parameters(architecture));
          return (await loaded.run(`predict_${ROWS}`, inputs))['modelOutput'] ?? new Float32Array();
        },
        devices,
      );
      const difference = relativeDifference(got, wanted);
      t.true(difference <= TOLERANCE, `on ${devices} devices: off by ${difference}`);
      t.is(await held(devices), 0);
    }
  });
}
