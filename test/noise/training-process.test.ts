import test from 'ava';
import { diffusionTables, makeBetas, trainingProcess } from '../../shared/noise/index.js';

const schedule = makeBetas({ name: 'linear', timesteps: 40 });

test('a process of all timesteps has the betas of the schedule themselves, and gives the network t', (t) => {
  const { betas, modelTimesteps } = trainingProcess(schedule);
  t.is(betas, schedule);
  t.deepEqual([...modelTimesteps], [...schedule.keys()]);
});

test('a respaced process has the noise of the timesteps that it visits, and gives the network their positions', (t) => {
  const timesteps = [0, 7, 39];
  const { betas, modelTimesteps } = trainingProcess(schedule, { timesteps });
  t.deepEqual([...modelTimesteps], timesteps);
  const [ours, all] = [betas, schedule].map((each) => diffusionTables(each).alphasCumprod);
  timesteps.forEach((timestep, i) => {
    // A respaced beta is 1 minus a ratio of two alphasCumprod, which is about 1e-5 here: that costs five digits.
    t.true(Math.abs((ours?.[i] ?? NaN) / (all?.[timestep] ?? NaN) - 1) < 1e-10);
  });
});

test('rescaled timesteps are counted in thousandths of the whole schedule', (t) => {
  t.deepEqual(
    [...trainingProcess(schedule, { timesteps: [0, 20, 39], rescale: true }).modelTimesteps],
    [0, 500, 975],
  );
});
