import test from 'ava';
import { DiffusionError } from '../../shared/foundation/index.js';
import { makeTimestepSampler } from '../../shared/noise/index.js';
import type { TimestepSampler } from '../../shared/noise/index.js';

const TIMESTEPS = 6;

/** Ten losses of t + 1 at every timestep. */
function warmedUp(): TimestepSampler {
  const sampler = makeTimestepSampler('loss-second-moment', TIMESTEPS, 5n);
  for (let round = 0; round < 10; round++) {
    const t = Int32Array.from({ length: TIMESTEPS }, (_, i) => i);
    sampler.update(
      t,
      Float64Array.from(t, (value) => value + 1),
    );
  }
  return sampler;
}

test('the uniform sampler visits every timestep alike with weight 1', (t) => {
  const draw = makeTimestepSampler('uniform', 10, 1n).draw(0, 50_000);
  t.true(draw.weights.every((weight) => weight === 1));
  for (let timestep = 0; timestep < 10; timestep++) {
    const count = draw.t.filter((value) => value === timestep).length;
    t.true(Math.abs(count - 5000) < 300, `${timestep}: ${count}`);
  }
});

test('the timesteps of a step depend on seed and step alone', (t) => {
  for (const name of ['uniform', 'loss-second-moment'] as const) {
    const draw = (seed: bigint, step: number) => makeTimestepSampler(name, 1000, seed).draw(step, 16).t;
    t.deepEqual(draw(1n, 7), draw(1n, 7));
    t.notDeepEqual(draw(1n, 7), draw(1n, 8));
    t.notDeepEqual(draw(1n, 7), draw(2n, 7));
  }
});

test('a larger batch begins with the timesteps of a smaller one', (t) => {
  const sampler = makeTimestepSampler('uniform', 1000, 1n);
  t.deepEqual(sampler.draw(3, 64).t.slice(0, 16), sampler.draw(3, 16).t);
});

test('loss-second-moment is uniform until every timestep has ten losses', (t) => {
  const sampler = makeTimestepSampler('loss-second-moment', 2, 1n);
  const uniform = Float64Array.of(0.5, 0.5);
  for (let i = 0; i < 30; i++) sampler.update(Int32Array.of(0), Float32Array.of(4));
  for (let i = 0; i < 9; i++) {
    sampler.update(Int32Array.of(1), Float32Array.of(1));
    t.deepEqual(sampler.probabilities(), uniform);
  }
  sampler.update(Int32Array.of(1), Float32Array.of(1));
  const [p0 = NaN, p1 = NaN] = sampler.probabilities();
  t.true(Math.abs(p0 - (0.8 * 0.999 + 0.0005)) < 1e-15);
  t.true(Math.abs(p0 + p1 - 1) < 1e-15);
});

test('loss-second-moment says from which step on it weights; the uniform one never does', (t) => {
  const sampler = makeTimestepSampler('loss-second-moment', 2, 0n);
  for (let round = 0; round < 10; round++) {
    sampler.update(Int32Array.of(0), Float64Array.of(1));
    t.false(sampler.isWeighted());
  }
  for (let round = 0; round < 10; round++) {
    t.false(sampler.isWeighted());
    sampler.update(Int32Array.of(1), Float64Array.of(2));
  }
  t.true(sampler.isWeighted());
  const restored = makeTimestepSampler('loss-second-moment', 2, 0n);
  restored.restore(sampler.state());
  t.true(restored.isWeighted());
  t.false(makeTimestepSampler('uniform', 2, 0n).isWeighted());
});

test('only the newest ten losses count', (t) => {
  const sampler = warmedUp();
  const before = sampler.probabilities();
  for (let i = 0; i < 10; i++) sampler.update(Int32Array.of(0), Float64Array.of(100));
  t.notDeepEqual(sampler.probabilities(), before);
  for (let i = 0; i < 10; i++) sampler.update(Int32Array.of(0), Float64Array.of(1));
  t.deepEqual(sampler.probabilities(), before);
});

test('loss weights leave the objective unbiased', (t) => {
  const { t: timesteps, weights } = warmedUp().draw(0, 100_000);
  const value =
    timesteps.reduce((sum, timestep, i) => sum + (timestep + 1) ** 2 * (weights[i] ?? NaN), 0) / 100_000;
  const wanted = (1 + 4 + 9 + 16 + 25 + 36) / 6;
  t.true(Math.abs(value / wanted - 1) < 0.01, `${value} for ${wanted}`);
});

test('a restored sampler gives what the saved one would have given', (t) => {
  const sampler = warmedUp();
  const restored = makeTimestepSampler('loss-second-moment', TIMESTEPS, 5n);
  restored.restore(sampler.state());
  for (const each of [sampler, restored]) each.update(Int32Array.of(2, 2, 4), Float32Array.of(7, 8, 9));
  t.deepEqual(restored.state(), sampler.state());
  t.deepEqual(restored.draw(11, 32), sampler.draw(11, 32));
});

test('a state is a copy', (t) => {
  const sampler = warmedUp();
  const saved = sampler.state();
  saved.history.fill(0);
  saved.counts.fill(0);
  t.deepEqual(sampler.state(), warmedUp().state());
});

test("a state that isn't the sampler's is refused", (t) => {
  const { history, counts } = warmedUp().state();
  const states = [
    { history: history.slice(1), counts },
    { history, counts: counts.slice(1) },
    { history: history.map((loss, i) => (i === 3 ? NaN : loss)), counts },
    { history, counts: counts.map(() => 11) },
  ];
  for (const state of states) {
    const error = t.throws(
      () => {
        warmedUp().restore(state);
      },
      { instanceOf: DiffusionError },
    );
    t.is(error.code, 'DATA_LOSS');
  }
  t.throws(
    () => {
      makeTimestepSampler('uniform', TIMESTEPS, 0n).restore({ history, counts });
    },
    {
      instanceOf: DiffusionError,
    },
  );
});

test('the uniform sampler restores its own empty state', (t) => {
  const sampler = makeTimestepSampler('uniform', TIMESTEPS, 0n);
  sampler.update(Int32Array.of(1), Float32Array.of(3));
  sampler.restore(sampler.state());
  t.is(sampler.state().history.length, 0);
});

test("a loss that isn't finite is refused", (t) => {
  const error = t.throws(
    () => {
      warmedUp().update(Int32Array.of(0), Float32Array.of(NaN));
    },
    {
      instanceOf: DiffusionError,
    },
  );
  t.is(error.violations[0]?.field, 'losses');
});
