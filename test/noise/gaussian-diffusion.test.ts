import test from 'ava';
import fc from 'fast-check';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import {
  diffusionTables,
  makeBetas,
  perturbNoise,
  pixels,
  posteriorMean,
  predictEpsilonFromXStart,
  predictXStartFromEpsilon,
  qSample,
} from '../../shared/noise/index.js';

const tables = diffusionTables(makeBetas({ name: 'cosine', timesteps: 100 }));
const key = deriveKey(0n, 'gaussian-diffusion-test');
const xStart = gaussian(key, [0], 64);
const epsilon = gaussian(key, [1], 64);
const xi = gaussian(key, [2], 64);

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}

test('gamma 0 is q_sample bit for bit', (t) => {
  const odd = Float32Array.of(-0, 0, 1e-45, 3.4e38, -1.5);
  const perturbed = perturbNoise(odd, Float32Array.of(1, Infinity, 1, 1, 1), 0);
  t.deepEqual(Buffer.from(perturbed.buffer), Buffer.from(odd.buffer));
  t.not(perturbed, odd);
  t.deepEqual(
    qSample(tables, xStart, 50, perturbNoise(epsilon, xi, 0)),
    qSample(tables, xStart, 50, epsilon),
  );
});

test('Var(y_t | x_0) = (1 - alphasCumprod)(1 + gamma^2)', (t) => {
  const length = 200_000;
  const gamma = 0.5;
  const timestep = 40;
  const constant = new Float32Array(length).fill(0.3);
  const noise = perturbNoise(gaussian(key, [3], length), gaussian(key, [4], length), gamma);
  const y = qSample(tables, constant, timestep, noise);
  const mean = y.reduce((sum, value) => sum + value, 0) / length;
  const variance = y.reduce((sum, value) => sum + (value - mean) ** 2, 0) / length;
  const wanted = (1 - (tables.alphasCumprod[timestep] ?? NaN)) * (1 + gamma ** 2);
  t.true(Math.abs(variance / wanted - 1) < 0.015, `${variance} for ${wanted}`);
  t.true(Math.abs(mean - 0.3 * (tables.sqrtAlphasCumprod[timestep] ?? NaN)) < 0.01);
});

test('x_t is linear in gamma', (t) => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 1, noNaN: true }), fc.nat(99), (gamma, timestep) => {
      const at0 = qSample(tables, xStart, timestep, epsilon);
      const at1 = qSample(tables, xStart, timestep, perturbNoise(epsilon, xi, 1));
      const wanted = at0.map((value, i) => value + gamma * ((at1[i] ?? NaN) - value));
      const ours = qSample(tables, xStart, timestep, perturbNoise(epsilon, xi, gamma));
      t.true(largestDifference(ours, wanted) < 2e-6);
    }),
  );
});

test('x_0 and epsilon are recovered from x_t and each other', (t) => {
  for (const timestep of [1, 30, 60, 90]) {
    const xT = qSample(tables, xStart, timestep, epsilon);
    t.true(largestDifference(predictXStartFromEpsilon(pixels, tables, xT, timestep, epsilon), xStart) < 2e-5);
    t.true(largestDifference(predictEpsilonFromXStart(pixels, tables, xT, timestep, xStart), epsilon) < 2e-5);
  }
});

test('the posterior mean at t = 0 is x_0', (t) => {
  t.deepEqual(posteriorMean(pixels, tables, xStart, epsilon, 0), xStart);
});

test('the posterior mean of the noiseless x_t is the noiseless x_{t-1}', (t) => {
  const none = new Float32Array(64);
  const ours = posteriorMean(pixels, tables, xStart, qSample(tables, xStart, 50, none), 50);
  t.true(largestDifference(ours, qSample(tables, xStart, 49, none)) < 1e-6);
});

test('a timestep out of range is an error, not NaN', (t) => {
  t.throws(() => qSample(tables, xStart, 100, epsilon), { instanceOf: RangeError });
  t.throws(() => qSample(tables, xStart, -1, epsilon), { instanceOf: RangeError });
});
