/** The loss-second-moment timestep sampler against the reference's, after the same updates. */
import test from 'ava';
import { makeTimestepSampler } from '../../shared/noise/index.js';
import { goldenFile } from './golden.js';

interface Golden {
  readonly num_timesteps: number;
  readonly updates: readonly (readonly [number, number])[];
  readonly weights: readonly number[];
  readonly probabilities: readonly number[];
  readonly loss_weights: readonly number[];
}

const TOLERANCE = 1e-12;
// Loss weights travel as float32.
const FLOAT32_TOLERANCE = 1e-7;

const golden = JSON.parse(goldenFile('loss_second_moment.json').toString()) as Golden;

function updated() {
  const sampler = makeTimestepSampler('loss-second-moment', golden.num_timesteps, 0n);
  for (const [t, loss] of golden.updates) sampler.update(Int32Array.of(t), Float64Array.of(loss));
  return sampler;
}

test("the probabilities are the reference's", (t) => {
  const probabilities = updated().probabilities();
  const total = golden.weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, wanted] of golden.probabilities.entries()) {
    const ours = probabilities[i] ?? NaN;
    t.true(Math.abs(ours - wanted) <= TOLERANCE * wanted, `timestep ${i}: ${ours} for ${wanted}`);
    t.true(Math.abs(ours - (golden.weights[i] ?? NaN) / total) <= TOLERANCE * wanted);
  }
});

test("each chosen example has the reference's loss weight", (t) => {
  const { t: timesteps, weights } = updated().draw(0, 1000);
  timesteps.forEach((timestep, i) => {
    const wanted = golden.loss_weights[timestep] ?? NaN;
    t.true(Math.abs((weights[i] ?? NaN) - wanted) <= FLOAT32_TOLERANCE * wanted);
  });
});
