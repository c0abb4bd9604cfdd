/** An image's bytes don't depend on its place in the batch, nor on the other images, on a PJRT device. */
import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import { deriveKey, gaussian } from '../../../shared/random/index.js';
import { NETWORK, parameters } from '../compiled/training.js';
import { onDevice } from './device.js';
import { testAll } from './plugin-file.js';

const ROWS = 5;

for (const precision of ['float32', 'bfloat16'] as const) {
  testAll(`every place of a batch gives an image the same bytes: ${precision}`, async (t) => {
    const { imageSize, inChannels } = NETWORK;
    const size = imageSize ** 2 * inChannels;
    const row = (name: string): Float32Array => gaussian(deriveKey(5n, name), [], size);
    await onDevice(predictionModule(NETWORK, [ROWS], precision), async (loaded) => {
      await loaded.assign(parameters(NETWORK));
      const seen = new Set<string>();
      for (let place = 0; place < ROWS; place++) {
        const xT = new Float32Array(ROWS * size);
        const [times, y] = [new Float32Array(ROWS), new Int32Array(ROWS)];
        for (let i = 0; i < ROWS; i++) {
          xT.set(row(i === place ? 'image' : `other ${i} of ${place}`), i * size);
          times[i] = i === place ? 77 : 3 + i;
          y[i] = i === place ? 2 : -1;
        }
        const { modelOutput = new Float32Array() } = await loaded.run(`predict_${ROWS}`, { xT, t: times, y });
        const length = modelOutput.length / ROWS;
        const image = modelOutput.slice(place * length, (place + 1) * length);
        seen.add(Buffer.from(image.buffer).toString('hex'));
      }
      t.is(seen.size, 1);
    });
  });
}
