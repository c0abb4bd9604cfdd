/** AdamW against float64, and norms over all tensors. */
import test from 'ava';
import { createEagerEngine, tf } from '../../shared/engine/index.js';
import { adamW, allFinite, biasCorrection, globalNorm } from '../../shared/optimizer/index.js';
import type { AdamWState } from '../../shared/optimizer/index.js';
import { noiseArray } from '../model/networks.js';

await createEagerEngine();

const CONFIG = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

test('five updates agree with float64, decay decoupled and epsilon after the correction', (t) => {
  const [learningRate, weightDecay, size] = [1e-2, 0.1, 50];
  const p = Float64Array.from(noiseArray('p', size));
  const [m, v] = [new Float64Array(size), new Float64Array(size)];
  tf.tidy(() => {
    let state: AdamWState = {
      parameter: tf.tensor1d(Float32Array.from(p)),
      m: tf.zeros([size]),
      v: tf.zeros([size]),
    };
    for (let n = 1; n <= 5; n++) {
      // The last gradients are small enough for epsilon to matter.
      const gradient = noiseArray(`g${n}`, size).map((value, i) => (i < 10 ? 1e-9 * value : value));
      for (let i = 0; i < size; i++) {
        const [g, before] = [gradient[i] ?? NaN, p[i] ?? NaN];
        m[i] = 0.9 * (m[i] ?? NaN) + 0.1 * g;
        v[i] = 0.999 * (v[i] ?? NaN) + 0.001 * g * g;
        const [mHat, vHat] = [(m[i] ?? NaN) / (1 - 0.9 ** n), (v[i] ?? NaN) / (1 - 0.999 ** n)];
        p[i] =
          before - learningRate * weightDecay * before - (learningRate * mHat) / (Math.sqrt(vHat) + 1e-8);
      }
      const rates = {
        learningRate: tf.scalar(learningRate),
        weightDecay: tf.scalar(weightDecay),
        biasCorrection1: tf.scalar(biasCorrection(CONFIG.beta1, n)),
        biasCorrection2: tf.scalar(biasCorrection(CONFIG.beta2, n)),
      };
      state = adamW(rates, CONFIG)(state, tf.tensor1d(gradient));
    }
    for (const [ours, wanted] of [
      [state.parameter, p],
      [state.m, m],
    ] as const) {
      ours.dataSync().forEach((value, i) => {
        t.true(Math.abs(value - (wanted[i] ?? NaN)) < 2e-6, `${value} for ${wanted[i] ?? NaN}`);
      });
    }
  });
});

test('the norm is of all tensors as one vector', (t) => {
  tf.tidy(() => {
    t.is(globalNorm({ a: tf.tensor1d([2, 3]), b: tf.tensor2d([[6]]) }).dataSync()[0], 7);
  });
});

test('one infinity or NaN among the scalars is enough', (t) => {
  tf.tidy(() => {
    const finite = (...values: number[]): number | undefined =>
      allFinite(values.map((value) => tf.scalar(value))).dataSync()[0];
    t.is(finite(1, -2, 0), 1);
    for (const bad of [NaN, Infinity, -Infinity]) t.is(finite(1, bad), 0);
  });
});
