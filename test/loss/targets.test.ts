/** Targets and losses beside the simple one: DDPM-y, x_0, x_{t-1}, v, the bound alone. */
import test from 'ava';

import { createEagerEngine, tf } from '../../shared/engine/index.js';
import { boundWeight, trainingLosses } from '../../shared/loss/index.js';
import type { Objective, TrainingBatch } from '../../shared/loss/index.js';
import { combinedTensors } from '../../shared/loss/table-lookup.js';
import { diffusionTables, makeBetas, MEAN_TYPES, predictionOf } from '../../shared/noise/index.js';
import type { MeanType } from '../../shared/noise/index.js';
import { noiseTensor } from '../model/networks.js';

await createEagerEngine();

const tables = diffusionTables(makeBetas({ name: 'cosine', timesteps: 100 }));
const GAMMA = 0.15;
const OBJECTIVE: Objective = {
  meanType: 'epsilon',
  varianceType: 'fixed_small',
  lossType: 'mse',
  target: 'epsilon',
};

function batch(images: number, changes: Partial<TrainingBatch> = {}): TrainingBatch {
  const shape = [images, 4, 4, 1];
  return {
    network: (xT) => xT,
    tables,
    objective: OBJECTIVE,
    // x_0 ~ N(0, 0.25): the toy whose optimum is known.
    xStart: tf.mul(noiseTensor('x0', shape), 0.5),
    t: tf.fill([images], 60, 'int32'),
    epsilon: noiseTensor('epsilon', shape),
    xi: noiseTensor('xi', shape),
    gamma: tf.fill([images], GAMMA),
    ...changes,
  };
}

const number = (tensor: tf.Tensor): number => tensor.dataSync()[0] ?? NaN;
const meanLoss = (given: TrainingBatch): number => number(tf.mean(trainingLosses(given).loss));

/** The factor k with which k * x_t has the least squared error against the target, by regression over many draws. */
function optimum(target: Objective['target']): number {
  return tf.tidy(() => {
    const loss = (k: number): number =>
      meanLoss(batch(4096, { objective: { ...OBJECTIVE, target }, network: (xT) => tf.mul(xT, k) }));
    // A quadratic in k, so three values say where it is least.
    const [a, b, c] = [loss(-1), loss(0), loss(1)];
    return (a - c) / (2 * (a - 2 * b + c));
  });
}

test('the optimum of DDPM-IP is that of DDPM-y over sqrt(1 + gamma^2), and over 1 + gamma^2 without the division', (t) => {
  const [ip, normalised, unnormalised] = (['epsilon', 'normalised', 'unnormalised'] as const).map(optimum);
  const wanted = Math.sqrt(1 + GAMMA ** 2);
  // 65,536 draws: their means are off by 0.4 % or so.
  t.true(Math.abs((normalised ?? NaN) / (ip ?? NaN) / wanted - 1) < 0.01);
  t.true(Math.abs((unnormalised ?? NaN) / (ip ?? NaN) / wanted ** 2 - 1) < 0.015);
  // The two forms of DDPM-y differ by a factor of the target alone, to the rounding.
  t.true(Math.abs((unnormalised ?? NaN) / (normalised ?? NaN) / wanted - 1) < 1e-4);
});

test('no network that knows x_t alone brings the loss of DDPM-IP below gamma^2 / (1 + gamma^2)', (t) => {
  tf.tidy(() => {
    // Better than any network: it knows x_0, so that epsilon + gamma xi is known to it, and its best guess at epsilon.
    const given = batch(4096);
    const known = tf.add(given.epsilon, tf.mul(GAMMA, given.xi));
    const loss = meanLoss({ ...given, network: () => tf.div(known, 1 + GAMMA ** 2) });
    const floor = GAMMA ** 2 / (1 + GAMMA ** 2);
    t.true(Math.abs(loss / floor - 1) < 0.03, `${loss} for ${floor}`);
  });
});

test('the normalised target has variance 1, and gamma 0 makes all targets epsilon', (t) => {
  tf.tidy(() => {
    const none = (target: Objective['target'], gamma: number): number =>
      meanLoss(
        batch(4096, {
          objective: { ...OBJECTIVE, target },
          gamma: tf.fill([4096], gamma),
          network: (xT) => tf.zerosLike(xT),
        }),
      );
    t.true(Math.abs(none('normalised', 1) - 1) < 0.02);
    t.true(Math.abs(none('unnormalised', 1) - 2) < 0.04);
    t.is(none('unnormalised', 0), none('epsilon', 0));
    t.is(none('normalised', 0), none('epsilon', 0));
  });
});

test('a network that is right about x_0, about the mean of x_{t-1} or about v has no error', (t) => {
  tf.tidy(() => {
    const given = batch(3);
    const of = (meanType: Objective['meanType'], network: TrainingBatch['network']): number =>
      meanLoss({ ...given, objective: { ...OBJECTIVE, meanType }, network });
    t.is(
      of('x_start', () => given.xStart),
      0,
    );
    const [a, b] = [tables.posteriorMeanCoef1[60] ?? NaN, tables.posteriorMeanCoef2[60] ?? NaN];
    t.true(of('previous_x', (xT) => tf.add(tf.mul(given.xStart, a), tf.mul(xT, b))) < 1e-12);
    // Though the input is perturbed, v is that of epsilon.
    const [c, d] = [tables.sqrtAlphasCumprod[60] ?? NaN, tables.sqrtOneMinusAlphasCumprod[60] ?? NaN];
    const v = tf.sub(tf.mul(given.epsilon, c), tf.mul(given.xStart, d));
    t.true(of('v', () => v) < 1e-12);
  });
});

for (const meanType of MEAN_TYPES) {
  test(`a network of ${meanType} has the bound of one of epsilon that predicts the same x_0`, (t) => {
    tf.tidy(() => {
      const given = batch(3, { t: tf.tensor1d([0, 60, 99], 'int32') });
      const outputs = tf.split(noiseTensor('answer', [3, 4, 4, 2]), 2, 3) as [tf.Tensor, tf.Tensor];
      const bound = (of: MeanType, output: (xT: tf.Tensor) => tf.Tensor): Float32Array => {
        const objective: Objective = {
          ...{ meanType: of, varianceType: 'learned_range', lossType: 'kl', target: 'epsilon' },
        };
        const network = (xT: tf.Tensor): tf.Tensor => tf.concat([output(xT), outputs[1]], 3);
        return trainingLosses({ ...given, objective, network }).loss.dataSync() as Float32Array;
      };
      const { xStart } = predictionOf('epsilon', tables);
      const wanted = bound('epsilon', () => outputs[0]);
      const ours = bound(meanType, (xT) => {
        const xStartPredicted = combinedTensors(xStart, given.t, { xT, prediction: outputs[0] });
        const of = { noise: outputs[0], xStart: xStartPredicted, xT };
        return combinedTensors(predictionOf(meanType, tables).target, given.t, of);
      });
      // At t = 99 float32 keeps five digits of x_0, which is 1,400 times as large as epsilon there.
      wanted.forEach((value, i) => {
        t.true(Math.abs((ours[i] ?? NaN) / value - 1) < 1e-3, `${ours[i] ?? NaN} for ${value}`);
      });
    });
  });
}

for (const varianceType of ['learned', 'learned_range', 'fixed_small'] as const) {
  test(`the bound alone is the loss, and trains the mean too: ${varianceType}`, (t) => {
    tf.tidy(() => {
      const channels = varianceType === 'fixed_small' ? 1 : 2;
      const answer = noiseTensor('answer', [3, 4, 4, channels]);
      const losses = (lossType: Objective['lossType'], output: tf.Tensor = answer) =>
        trainingLosses(
          batch(3, { objective: { ...OBJECTIVE, varianceType, lossType }, network: () => output }),
        );
      const { loss, vlb } = losses('kl');
      t.deepEqual(loss.dataSync(), vlb?.dataSync());
      const ratio = number(tf.mean(losses('rescaled_kl').loss)) / number(tf.mean(loss));
      t.true(Math.abs(ratio / boundWeight({ ...OBJECTIVE, lossType: 'rescaled_kl' }, 100) - 1) < 1e-5);
      const gradient = tf.grad((output: tf.Tensor) => tf.sum(losses('kl', output).loss))(answer);
      const parts = tf.split(gradient, channels, 3);
      for (const part of parts) t.true(part.dataSync().some((value) => value !== 0));
    });
  });
}

test('noise in the target is there in perturbed rows alone, leaves the best network as it is, and adds its variance', (t) => {
  tf.tidy(() => {
    const shape = [4096, 4, 4, 1];
    const gamma = tf.concat([tf.fill([2048], GAMMA), tf.zeros([2048])]);
    const targetNoise = noiseTensor('target noise', shape);
    const mse = (k: number, deviation: number): tf.Tensor =>
      trainingLosses(
        batch(4096, {
          ...{ gamma, targetNoise, network: (xT) => tf.mul(xT, k) },
          objective: { ...OBJECTIVE, targetNoise: deviation },
        }),
      ).mse;
    const halves = (values: tf.Tensor) => tf.split(values, 2).map((half) => number(tf.mean(half)));
    for (const k of [0, 0.5]) {
      const [added = NaN, none] = halves(tf.sub(mse(k, 0.4), mse(k, 0)));
      // 32,768 draws.
      t.true(Math.abs(added / 0.16 - 1) < 0.06, `${added} at ${k}`);
      t.is(none, 0);
    }
  });
});
