/** Training on a PJRT device: as on the CPU up to rounding, and resumed to the bit. */
import { trainingModule } from '../../../shared/training/training-module.js';
import { compiled } from '../compiled/both.js';
import {
  batch,
  NETWORK,
  PLAIN,
  parameters,
  rates,
  trainedDifferences,
  trainedFrom,
  training,
} from '../compiled/training.js';
import { held, onDevice, pjrt } from './device.js';
import { testAll } from './plugin-file.js';

const TOLERANCE = 1e-5;

for (const [title, config] of Object.entries({
  'dropout, classes and a learned variance': training(NETWORK, 1),
  'several passes a step': training(PLAIN, 2),
  'gradient checkpointing': { ...training(NETWORK, 1), gradientCheckpointing: true },
})) {
  testAll(`three steps are those of TensorFlow: ${title}`, async (t) => {
    const wanted = await trainedFrom(compiled.load, config);
    const got = await trainedFrom(async (module) => (await pjrt()).load(module), config);
    t.deepEqual(Object.keys(got), Object.keys(wanted));
    const differences = trainedDifferences(got, wanted, TOLERANCE);
    for (const { name, difference, limit } of differences)
      t.true(difference <= limit, `${name}: off by ${difference}`);
    t.log(
      `largest difference ${Math.max(...differences.map(({ difference }) => difference)).toExponential(1)}`,
    );
    t.is(await held(), 0);
  });
}

testAll('a run that is stopped, stored and resumed has the bytes of one that was not', async (t) => {
  const module = trainingModule(training(NETWORK, 1));
  const names = module.variables.map(({ name }) => name);
  const step = (n: number) => ({ ...batch(NETWORK, n), ...rates(n) });
  const start = new Map([...parameters(NETWORK, 'weights/'), ...parameters(NETWORK, 'ema_0.999/')]);
  const whole = await onDevice(module, async (loaded) => {
    await loaded.assign(start);
    for (const n of [0, 1, 2]) await loaded.run('trainStep', step(n));
    return loaded.read(names);
  });
  const stored = await onDevice(module, async (loaded) => {
    await loaded.assign(start);
    await loaded.run('trainStep', step(0));
    return loaded.read(names);
  });
  const resumed = await onDevice(module, async (loaded) => {
    await loaded.assign(stored);
    for (const n of [1, 2]) await loaded.run('trainStep', step(n));
    return loaded.read(names);
  });
  t.notDeepEqual(stored, whole);
  t.deepEqual(resumed, whole);
});
