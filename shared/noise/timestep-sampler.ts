/** Which timesteps a training batch visits, and the loss weights that keep the objective unbiased. */
import { at, DiffusionError, invalidArgument, violation } from '../foundation/index.js';
import { deriveKey, randomStream } from '../random/index.js';

export type TimestepSamplerName = 'uniform' | 'loss-second-moment';

export interface TimestepDraw {
  /** [N] zero-based timesteps. */
  readonly t: Int32Array;
  /** [N] 1 / (T p[t]): what each example's loss is multiplied by. */
  readonly weights: Float32Array;
}

/** All that a sampler has learned; empty arrays for one that doesn't learn. */
export interface TimestepSamplerState {
  /** [T * 10] float64, the newest losses of each timestep, oldest first. */
  readonly history: Float64Array;
  /** [T] how many of the 10 are filled. */
  readonly counts: Int32Array;
}

export interface TimestepSampler {
  readonly name: TimestepSamplerName;
  /** [T] the probability of each timestep now. */
  probabilities(): Float64Array;
  /** Whether some timesteps are now more probable than others. */
  isWeighted(): boolean;
  /** The timesteps of an optimizer step: a function of (seed, step, probabilities) alone. */
  draw(step: number, batchSize: number): TimestepDraw;
  /**
   * Takes in the unweighted losses of a step's examples, in order.
   * @throws INVALID_ARGUMENT for a loss that isn't finite, which would make all later probabilities useless.
   */
  update(t: Int32Array, losses: Float32Array | Float64Array): void;
  /** A copy of the state. */
  state(): TimestepSamplerState;
  /** Takes over a copy of a state. @throws DATA_LOSS where it isn't one of this sampler's. */
  restore(state: TimestepSamplerState): void;
}

const HISTORY_PER_TERM = 10;
const UNIFORM_PROB = 0.001;

/** A timestep sampler over 0..timesteps-1 that draws from the seed's own stream. */
export function makeTimestepSampler(
  name: TimestepSamplerName,
  timesteps: number,
  seed: bigint,
): TimestepSampler {
  switch (name) {
    case 'uniform':
      return uniformSampler(timesteps, seed);
    case 'loss-second-moment':
      return lossSecondMomentSampler(timesteps, seed);
  }
}

function uniformSampler(timesteps: number, seed: bigint): TimestepSampler {
  const probabilities = uniformProbabilities(timesteps);
  return {
    name: 'uniform',
    probabilities: () => probabilities,
    isWeighted: () => false,
    draw: (step, batchSize) => drawTimesteps(probabilities, seed, step, batchSize),
    update: () => undefined,
    state: () => ({ history: new Float64Array(0), counts: new Int32Array(0) }),
    restore: (state) => {
      checkState(state, 0);
    },
  };
}

/**
 * Timesteps in proportion to the root mean square of their last 10 losses, mixed with 0.1 % uniform;
 * plainly uniform until every timestep has 10 losses.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/resample.py, `LossSecondMomentResampler`.
 */
function lossSecondMomentSampler(timesteps: number, seed: bigint): TimestepSampler {
  let history = new Float64Array(timesteps * HISTORY_PER_TERM);
  let counts = new Int32Array(timesteps);

  function push(t: number, loss: number): void {
    if (!Number.isFinite(loss)) throw invalidArgument([violation('losses', 'finite losses', String(loss))]);
    const count = at(counts, t);
    const start = t * HISTORY_PER_TERM;
    if (count < HISTORY_PER_TERM) {
      history[start + count] = loss;
      counts[t] = count + 1;
    } else {
      history.copyWithin(start, start + 1, start + HISTORY_PER_TERM);
      history[start + HISTORY_PER_TERM - 1] = loss;
    }
  }

  function isWeighted(): boolean {
    return counts.every((count) => count === HISTORY_PER_TERM);
  }

  function probabilities(): Float64Array {
    if (!isWeighted()) return uniformProbabilities(timesteps);
    const rootMeanSquares = Float64Array.from(counts, (_, t) => {
      const losses = history.subarray(t * HISTORY_PER_TERM, (t + 1) * HISTORY_PER_TERM);
      return Math.sqrt(losses.reduce((sum, loss) => sum + loss * loss, 0) / HISTORY_PER_TERM);
    });
    const total = rootMeanSquares.reduce((sum, value) => sum + value, 0);
    return rootMeanSquares.map((value) => (value / total) * (1 - UNIFORM_PROB) + UNIFORM_PROB / timesteps);
  }

  return {
    name: 'loss-second-moment',
    probabilities,
    isWeighted,
    draw: (step, batchSize) => drawTimesteps(probabilities(), seed, step, batchSize),
    update: (t, losses) => {
      t.forEach((value, i) => {
        push(value, at(losses, i));
      });
    },
    state: () => ({ history: history.slice(), counts: counts.slice() }),
    restore: (state) => {
      checkState(state, timesteps);
      history = state.history.slice();
      counts = state.counts.slice();
    },
  };
}

function uniformProbabilities(timesteps: number): Float64Array {
  return new Float64Array(timesteps).fill(1 / timesteps);
}

// By inversion: the first timestep whose cumulated probability exceeds u.
function drawTimesteps(
  probabilities: Float64Array,
  seed: bigint,
  step: number,
  batchSize: number,
): TimestepDraw {
  const stream = randomStream(deriveKey(seed, 'timesteps'), [step]);
  let total = 0;
  const cumulated = probabilities.map((probability) => (total += probability));
  const t = new Int32Array(batchSize).map(() => firstOver(cumulated, stream.uniform() * total));
  return {
    t,
    weights: Float32Array.from(t, (value) => 1 / (probabilities.length * at(probabilities, value))),
  };
}

// The last element where rounding leaves none over the limit.
function firstOver(ascending: Float64Array, limit: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(ascending, middle) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

function checkState({ history, counts }: TimestepSamplerState, timesteps: number): void {
  const valid =
    history.length === timesteps * HISTORY_PER_TERM &&
    counts.length === timesteps &&
    counts.every((count) => count >= 0 && count <= HISTORY_PER_TERM) &&
    history.every((loss) => Number.isFinite(loss));
  if (!valid) {
    const wanted = `${timesteps} timesteps with at most ${HISTORY_PER_TERM} finite losses each`;
    throw new DiffusionError(
      'TIMESTEP_SAMPLER_STATE',
      `the timestep sampler's state: wanted ${wanted}; got ${counts.length} counts and ${history.length} losses`,
    );
  }
}
