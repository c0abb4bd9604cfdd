/** Prints what 1,800 of 2,000 training steps leave: live tensors, and growth of resident memory in MiB. */
import { trainingModule } from '../../../shared/training/training-module.js';
import { createCompiledEngine, tf } from '../../../shared/engine/index.js';
import { batch, parameters, PLAIN, rates, training } from './training.js';

const NETWORK = { ...PLAIN, channelMult: [1], attentionResolutions: [] };
const [WARM_UP, STEPS] = [200, 2000];

const loaded = await (await createCompiledEngine()).load(trainingModule(training(NETWORK, 1)));
await loaded.assign(parameters(NETWORK, 'weights/'));
const settled = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().rss / 2 ** 20;
};
let [tensorsBefore, before] = [0, 0];
for (let step = 0; step < STEPS; step++) {
  if (step === WARM_UP) [tensorsBefore, before] = [tf.memory().numTensors, settled()];
  await loaded.run('trainStep', { ...batch(NETWORK, step), ...rates(step) });
}
const grownMb = settled() - before;
console.log(JSON.stringify({ tensorsBefore, tensorsAfter: tf.memory().numTensors, grownMb }));
