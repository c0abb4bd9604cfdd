/** AdamW against float64, and norms over all tensors. */
import test from 'ava';
import { createEagerEngine, tf } from '../../shared/engine/index.js';
import type { AdamWState } from '../../shared/engine/index.js';
import { adamW, allFinite, biasCorrection, globalNorm } from '../../shared/optimizer/index.js';
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
      ema: [],
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
        emaWeights: tf.tensor1d([]),
      };
      [state] = adamW(rates, CONFIG, [{ ...state, gradient: tf.tensor1d(gradient) }]) as [AdamWState];
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

test('the EMA weights of each rate move by their weight towards the new parameter', (t) => {
  tf.tidy(() => {
    const one = tf.scalar(1);
    const rates = {
      learningRate: tf.scalar(0),
      weightDecay: one,
      biasCorrection1: one,
      biasCorrection2: one,
    };
    const state = (parameter: number[], emas: number[][]) => {
      const zeros = tf.zeros([2]);
      const ema = emas.map((values) => tf.tensor1d(values));
      return { gradient: zeros, parameter: tf.tensor1d(parameter), m: zeros, v: zeros, ema };
    };
    const next = adamW({ ...rates, emaWeights: tf.tensor1d([0.25, 0.5]) }, CONFIG, [
      state(
        [8, 4],
        [
          [0, 4],
          [4, 0],
        ],
      ),
      state(
        [1, 0],
        [
          [1, 0],
          [0, 8],
        ],
      ),
    ]);
    t.deepEqual(
      next.map(({ ema }) => ema.map((each) => [...each.dataSync()])),
      [
        [
          [2, 4],
          [6, 2],
        ],
        [
          [1, 0],
          [0.5, 4],
        ],
      ],
    );
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
