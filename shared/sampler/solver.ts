/** What all solvers have in common: their shape, and the evaluation of the network at one step. */
import { at, DiffusionError } from '../foundation/index.js';
import { predictXStartFromEpsilon, predictXStartFromPreviousX } from '../noise/index.js';
import type { SamplerPlan } from './plan.js';

/** One image's input to the network. */
export interface NetworkRow {
  /** [H, W, C] flattened. */
  readonly xT: Float32Array;
  /** As the network was trained to be told it: mapped to the T training timesteps, and rescaled if it was. */
  readonly t: number;
  /** Class label. */
  readonly y?: number;
}

/**
 * The network over one row, which a batcher puts beside others: [H, W, C] flattened (epsilon), or [H, W, 2C]
 * (epsilon, then the variance's place in its range) where the variance is learned.
 */
export type Predict = (row: NetworkRow, signal?: AbortSignal) => Promise<Float32Array>;

/** Standard normal values of one image: position 0 is x_T, position k the k-th draw of the trajectory. */
export type NoiseSource = (position: number) => Float32Array;

export interface SolverOptions {
  readonly plan: SamplerPlan;
  readonly predict: Predict;
  readonly noise: NoiseSource;
  readonly y?: number;
  /** Stops the solver within one step. */
  readonly signal?: AbortSignal;
}

/** The state after a step. The arrays are the solver's own: copy one to change it. */
export interface SamplerStep {
  /** 0 for the first step, at the largest timestep. */
  readonly index: number;
  /** The training timestep that the step started from. */
  readonly t: number;
  /** How many steps there are in all. */
  readonly steps: number;
  /** [H, W, C] flattened: the image after the step, still noisy unless it's the last. */
  readonly sample: Float32Array;
  /** [H, W, C] flattened: x_0 as predicted at this step. */
  readonly predXStart: Float32Array;
}

/** A solver works through one image's trajectory and yields every step. */
export type Solver = (options: SolverOptions) => AsyncGenerator<SamplerStep, void, undefined>;

/** The network's answer at one step, over the elements of [H, W, C] flattened. */
export interface Evaluation {
  readonly predXStart: Float32Array;
  /** The log variance of p(x_{t-1} | x_t) at an element. */
  readonly logVariance: (element: number) => number;
}

/**
 * Asks the network at respaced step `i`.
 * @throws CANCELLED, or the signal's reason where that is a DiffusionError; INTERNAL for an output of the wrong
 * length or with values that aren't finite.
 */
export async function evaluate(options: SolverOptions, i: number, x: Float32Array): Promise<Evaluation> {
  const { plan, predict, y, signal } = options;
  throwIfAborted(signal);
  const row = { xT: x, t: at(plan.modelTimesteps, i) };
  const output = await predict(y === undefined ? row : { ...row, y }, signal);
  throwIfAborted(signal);
  checkOutput(plan, i, output, x.length);
  const prediction = plan.variance.type === 'fixed' ? output : channelHalf(output, plan.channels, 0);
  const predXStart = xStartOf(plan, x, i, prediction);
  return {
    predXStart: plan.clipDenoised ? predXStart.map((value) => Math.min(Math.max(value, -1), 1)) : predXStart,
    logVariance: logVarianceOf(plan, i, output),
  };
}

/** x_0 as the network's prediction has it at respaced step `i`. */
function xStartOf(
  { meanType, tables }: SamplerPlan,
  x: Float32Array,
  i: number,
  prediction: Float32Array,
): Float32Array {
  switch (meanType) {
    case 'epsilon':
      return predictXStartFromEpsilon(tables, x, i, prediction);
    case 'x_start':
      return prediction;
    case 'previous_x':
      return predictXStartFromPreviousX(tables, x, i, prediction);
  }
}

/** The step that a solver yields after respaced step `i`. */
export function samplerStep(
  plan: SamplerPlan,
  i: number,
  sample: Float32Array,
  predXStart: Float32Array,
): SamplerStep {
  return { index: plan.steps - 1 - i, t: at(plan.timestepMap, i), steps: plan.steps, sample, predXStart };
}

/** The draw that belongs to respaced step `i`, or nothing at the last step, which adds no noise. */
export function stepNoise({ plan, noise }: SolverOptions, i: number): Float32Array | undefined {
  return i === 0 ? undefined : noise(plan.steps - i);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  const reason: unknown = signal.reason;
  if (reason instanceof DiffusionError) throw reason;
  throw new DiffusionError('CANCELLED', 'sampling was cancelled', { cause: reason });
}

function logVarianceOf(
  { variance, channels }: SamplerPlan,
  i: number,
  output: Float32Array,
): Evaluation['logVariance'] {
  if (variance.type === 'fixed') {
    const logVariance = at(variance.logVariance, i);
    return () => logVariance;
  }
  const values = channelHalf(output, channels, 1);
  if (variance.type === 'learned') return (element) => at(values, element);
  const least = at(variance.minLogVariance, i);
  const most = at(variance.maxLogVariance, i);
  return (element) => {
    // -1 for the least, 1 for the most; not clamped, as in the reference.
    const fraction = (at(values, element) + 1) / 2;
    return fraction * most + (1 - fraction) * least;
  };
}

function checkOutput(plan: SamplerPlan, i: number, output: Float32Array, stateLength: number): void {
  const t = at(plan.timestepMap, i);
  const wanted = plan.variance.type === 'fixed' ? stateLength : 2 * stateLength;
  if (output.length !== wanted) {
    const message = `the network's output at timestep ${t}: wanted ${wanted} values; got ${output.length}`;
    throw new DiffusionError('INTERNAL', message, { reason: 'NETWORK_OUTPUT_SHAPE' });
  }
  if (!output.every((value) => Number.isFinite(value))) {
    const message = `the network's output at timestep ${t}: wanted finite values; got infinity or NaN`;
    throw new DiffusionError('INTERNAL', message, { reason: 'NETWORK_OUTPUT_NOT_FINITE' });
  }
}

// Half 0 or 1 of every pixel's 2C channels.
function channelHalf(output: Float32Array, channels: number, half: 0 | 1): Float32Array {
  const values = new Float32Array(output.length / 2);
  for (let pixel = 0; pixel * channels < values.length; pixel++) {
    const start = (2 * pixel + half) * channels;
    values.set(output.subarray(start, start + channels), pixel * channels);
  }
  return values;
}
