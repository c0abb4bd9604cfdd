/** States of the network's own making, against the sampler's own steps, and what is trained on them. */
import test from 'ava';

import { createEagerEngine, tf } from '../../shared/engine/index.js';
import { at } from '../../shared/foundation/index.js';
import { ownState, trainingLosses } from '../../shared/loss/index.js';
import type { Network, Objective, TrainingBatch } from '../../shared/loss/index.js';
import { diffusionTables, makeBetas, MEAN_TYPES, trainingProcess } from '../../shared/noise/index.js';
import type { MeanType } from '../../shared/noise/index.js';
import { samplerPlan, solver } from '../../shared/sampler/index.js';
import { noiseTensor } from '../model/networks.js';

await createEagerEngine();

const T = 100;
const betas = makeBetas({ name: 'linear', timesteps: T });
const tables = diffusionTables(betas);
// A state at T - 1 is none of the network’s making, and a sampler resumes after a step at the earliest.
const TIMES = [0, 1, 50, 97];
const SHAPE = [TIMES.length, 4, 4, 1];
const LENGTH = 16;

/** Half of x_t, and a share of the variance's range that depends on it. */
const network: Network = (xT) => tf.concat([tf.mul(xT, 0.5), tf.tanh(xT)], 3);

function objectiveOf(meanType: MeanType): Objective {
  return { meanType, varianceType: 'learned_range', lossType: 'mse', target: 'epsilon' };
}

const NOISY = {
  xStart: tf.clipByValue(noiseTensor('x0', SHAPE), -1, 1),
  t: tf.tensor1d(TIMES, 'int32'),
  epsilon: noiseTensor('epsilon', SHAPE),
  stepNoise: noiseTensor('step', SHAPE),
};

const valuesOf = (tensor: tf.Tensor): number[] => [...tensor.dataSync()];
const rowOf = (tensor: tf.Tensor, row: number): Float32Array =>
  Float32Array.from(valuesOf(tensor).slice(row * LENGTH, (row + 1) * LENGTH));

for (const meanType of MEAN_TYPES) {
  test(`the network's own x_t is what the ancestral sampler makes of x_{t+1}: ${meanType}`, async (t) => {
    const objective = objectiveOf(meanType);
    const own = tf.tidy(() => ownState({ network, tables, objective, ...NOISY }));
    const contract = {
      ...trainingProcess(betas),
      meanType,
      varianceType: 'learned_range',
      channels: 1,
    } as const;
    const plan = samplerPlan({ sampler: 'ancestral', steps: T }, contract);
    for (const [row, time] of TIMES.entries()) {
      const xStart = rowOf(NOISY.xStart, row);
      const epsilon = rowOf(NOISY.epsilon, row);
      const x = xStart.map(
        (value, e) =>
          at(tables.sqrtAlphasCumprod, time + 1) * value +
          at(tables.sqrtOneMinusAlphasCumprod, time + 1) * at(epsilon, e),
      );
      const steps = solver({
        plan,
        predict: ({ xT }) =>
          Promise.resolve(Float32Array.from([...xT].flatMap((value) => [0.5 * value, Math.tanh(value)]))),
        noise: () => rowOf(NOISY.stepNoise, row),
        resume: { stepsDone: T - 1 - (time + 1), x, history: [] },
      });
      const { value: step } = await steps.next();
      const wanted = step?.sample ?? new Float32Array(0);
      t.is(wanted.length, LENGTH);
      rowOf(own, row).forEach((value, e) => {
        t.true(Math.abs(value - at(wanted, e)) < 1e-4, `t = ${time}: ${value} for ${at(wanted, e)}`);
      });
    }
  });
}

function losses(own: TrainingBatch['own'], meanType: MeanType, answer: Network) {
  return trainingLosses({
    ...{ network: answer, tables, objective: objectiveOf(meanType), own, ...NOISY },
    ...{ xi: tf.zeros(SHAPE), gamma: tf.zeros([TIMES.length]) },
  });
}

test('rows of its own making are fed as they are, the others as ever', (t) => {
  const xT = noiseTensor('own', SHAPE);
  const rows = tf.tensor1d([0, 1, 0, 1]);
  const [plain, some] = [losses(undefined, 'epsilon', network), losses({ xT, rows }, 'epsilon', network)];
  for (const row of [0, 2]) {
    t.deepEqual(rowOf(some.xT, row), rowOf(plain.xT, row));
    t.is(valuesOf(some.loss)[row], valuesOf(plain.loss)[row]);
  }
  for (const row of [1, 3]) t.deepEqual(rowOf(some.xT, row), rowOf(xT, row));
});

for (const meanType of MEAN_TYPES) {
  test(`a network that finds x_0 in a state of its own making has no error: ${meanType}`, (t) => {
    const xT = noiseTensor('own', SHAPE);
    const own = { xT, rows: tf.ones([TIMES.length]) };
    // In float64, from the definition of each target.
    const target = TIMES.flatMap((time, row) => {
      const x = rowOf(xT, row);
      return [...rowOf(NOISY.xStart, row)].map((xStart, e) => {
        const [a, b] = [at(tables.sqrtAlphasCumprod, time), at(tables.sqrtOneMinusAlphasCumprod, time)];
        const noise = (at(x, e) - a * xStart) / b;
        const mean =
          at(tables.posteriorMeanCoef1, time) * xStart + at(tables.posteriorMeanCoef2, time) * at(x, e);
        return { epsilon: noise, x_start: xStart, previous_x: mean, v: a * noise - b * xStart }[meanType];
      });
    });
    const answer: Network = () => tf.concat([tf.tensor(target, SHAPE), tf.zeros(SHAPE)], 3);
    for (const error of valuesOf(losses(own, meanType, answer).mse)) t.true(error < 1e-6, String(error));
  });
}

test('no gradient flows through the state: it is a constant of the loss', (t) => {
  const scaled =
    (k: tf.Tensor): Network =>
    (xT) =>
      tf.concat([tf.mul(xT, k), tf.zerosLike(xT)], 3);
  const gradient = tf.tidy(() => {
    const objective = objectiveOf('epsilon');
    const xT = ownState({ network: scaled(tf.scalar(0.5)), tables, objective, ...NOISY });
    const own = { xT, rows: tf.ones([TIMES.length]) };
    const slope = tf.grad((k) => tf.mean(losses(own, 'epsilon', scaled(k)).mse))(tf.scalar(0.5));
    // d/dk mean (k x - noise)^2 = 2 mean (k x - noise) x, with x as it is.
    const noise = TIMES.flatMap((time, row) => {
      const x = rowOf(xT, row);
      return [...rowOf(NOISY.xStart, row)].map(
        (xStart, e) =>
          (at(x, e) - at(tables.sqrtAlphasCumprod, time) * xStart) /
          at(tables.sqrtOneMinusAlphasCumprod, time),
      );
    });
    const x = valuesOf(xT);
    const wanted = x.reduce((sum, value, i) => sum + 2 * (0.5 * value - at(noise, i)) * value, 0) / x.length;
    return [valuesOf(slope)[0] ?? NaN, wanted] as const;
  });
  t.true(Math.abs(gradient[0] / gradient[1] - 1) < 1e-4, gradient.join(' for '));
});
