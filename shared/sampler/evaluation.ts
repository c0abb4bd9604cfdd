/** One evaluation of the network: from x_t to the predicted x_0, through the remedies that are on. */
import { at, DiffusionError, throwIfAborted } from '../foundation/index.js';
import { combined, pixels, predictXStartFromEpsilon, termsAt } from '../noise/index.js';
import type { Algebra } from '../noise/index.js';
import { classesAsked, guided } from './guidance.js';
import { sampledInto } from './inpainting.js';
import type { PlanVariance } from './process.js';
import type { SamplerPlan } from './solver.js';
import { dynamicallyThresholded } from './remedies/dynamic-threshold.js';
import { epsilonScale } from './remedies/epsilon-scaling.js';
import { scoreScale } from './remedies/score-rescaling.js';
import { UNCONDITIONAL } from './solver.js';
import type { Predict, SolverOptions } from './solver.js';

/** What a question to the network needs of a solver's options. */
type Asking = Pick<SolverOptions, 'plan' | 'predict' | 'y' | 'inpaint' | 'signal'>;

/** The network's output at one step, over the elements of [H, W, C] flattened. */
export interface Evaluation {
  readonly predXStart: Float32Array;
  /** The deviation of p(x_{t-1} | x_t): of all elements, or of each. */
  readonly deviation: () => number | Float64Array;
}

/**
 * Asks the network at respaced step `i`: guidance, the remedies of epsilon, x_0, its range, the kept pixels.
 * @throws CANCELLED, or the signal's reason where that is a DiffusionError; INTERNAL for an output of the wrong
 * length or with values that aren't finite.
 */
export async function evaluate(options: Asking, i: number, x: Float32Array): Promise<Evaluation> {
  const { plan } = options;
  const { prediction, varianceValues } = await outputAt(options, i, x);
  const xStart = inRange(plan, predictedXStart(pixels, plan, i, { xT: x, prediction }));
  return {
    predXStart: options.inpaint === undefined ? xStart : sampledInto(options.inpaint, xStart),
    deviation: () => predictedDeviation(plan, i, varianceValues),
  };
}

/**
 * epsilon as the network predicts it at respaced step `i`, with guidance and without remedies, not clipped.
 * @throws as `evaluate`.
 */
export async function predictedEpsilon(options: Asking, i: number, x: Float32Array): Promise<Float32Array> {
  const { plan } = options;
  const { prediction } = await outputAt(options, i, x);
  return combined(plan.prediction.epsilon, i, { xT: x, prediction });
}

interface NetworkOutput {
  /** With guidance where that is on. */
  readonly prediction: Float32Array;
  /** What it says of the variance; nothing where that isn't learned. */
  readonly varianceValues: Float32Array;
}

async function outputAt(
  { plan, predict, y = UNCONDITIONAL, signal }: Asking,
  i: number,
  x: Float32Array,
): Promise<NetworkOutput> {
  const ask = checked(predict, plan, i, x.length);
  const row = { xT: x, t: at(plan.modelTimesteps, i), y };
  const outputs = await Promise.all(
    classesAsked(plan, y).map(async (label) => halves(plan, await ask({ ...row, y: label }, signal))),
  );
  const [first, unconditional] = outputs;
  if (first === undefined) throw new Error('the network was asked nothing');
  return { ...first, prediction: guided(pixels, plan, first.prediction, unconditional?.prediction) };
}

/** x_0 after the remedies of epsilon, which see no prediction of another kind while none of them is on. */
export function predictedXStart<Value>(
  algebra: Algebra<Value>,
  plan: SamplerPlan,
  i: number,
  of: { readonly xT: Value; readonly prediction: Value },
): Value {
  const {
    prediction: { xStart, epsilon },
    remedies,
    tables,
  } = plan;
  const scale = epsilonScale(remedies.epsilonScaling, i) * scoreScale(remedies.scoreRescaling, tables, i);
  if (scale === 1) return algebra.sum(...termsAt<'xT' | 'prediction', Value>(xStart, i, of));
  const scaled = algebra.sum([scale, algebra.sum(...termsAt<'xT' | 'prediction', Value>(epsilon, i, of))]);
  return predictXStartFromEpsilon(algebra, tables, of.xT, i, scaled);
}

/** Whether x_0 is clamped to [-1, 1]; a dynamic threshold has a clamp of its own. */
export function isClamped({ clipDenoised, remedies }: SamplerPlan): boolean {
  return clipDenoised && remedies.dynamicThreshold === undefined;
}

function inRange(plan: SamplerPlan, xStart: Float32Array): Float32Array {
  const { dynamicThreshold } = plan.remedies;
  if (dynamicThreshold !== undefined) return dynamicallyThresholded(xStart, dynamicThreshold);
  return isClamped(plan) ? clamped(xStart) : xStart;
}

function clamped(values: Float32Array): Float32Array {
  const result = new Float32Array(values.length);
  for (let e = 0; e < result.length; e++) result[e] = Math.min(Math.max(values[e] ?? NaN, -1), 1);
  return result;
}

/** Between which logarithms of the variance the network's value chooses, at -1 and at 1. */
export function logVarianceRange(variance: PlanVariance, i: number): readonly [least: number, most: number] {
  switch (variance.type) {
    case 'fixed':
      return [at(variance.logVariance, i), at(variance.logVariance, i)];
    case 'learned':
      return [-1, 1];
    case 'learned_range':
      return [at(variance.minLogVariance, i), at(variance.maxLogVariance, i)];
  }
}

function predictedDeviation(
  { variance }: SamplerPlan,
  i: number,
  values: Float32Array,
): number | Float64Array {
  const [least, most] = logVarianceRange(variance, i);
  if (variance.type === 'fixed') return Math.exp(0.5 * least);
  const deviations = Float64Array.from(values);
  if (variance.type === 'learned') return deviations.map((value) => Math.exp(0.5 * value));
  return deviations.map((value) => {
    // -1 for the least, 1 for the most; not clamped, as in the reference.
    const fraction = (value + 1) / 2;
    return Math.exp(0.5 * (fraction * most + (1 - fraction) * least));
  });
}

/** The network, called only while the signal isn't aborted; an output that isn't finite, or of another size, is an error. */
function checked(predict: Predict, plan: SamplerPlan, i: number, stateLength: number): Predict {
  return async (row, signal) => {
    throwIfAborted(signal, 'sampling');
    const output = await predict(row, signal);
    throwIfAborted(signal, 'sampling');
    checkOutput(plan, i, output, stateLength);
    return output;
  };
}

function checkOutput(plan: SamplerPlan, i: number, output: Float32Array, stateLength: number): void {
  const t = at(plan.timestepMap, i);
  const wanted = plan.variance.type === 'fixed' ? stateLength : 2 * stateLength;
  if (output.length !== wanted) {
    const message = `the network's output at timestep ${t}: wanted ${wanted} values; got ${output.length}`;
    throw new DiffusionError('NETWORK_OUTPUT_SHAPE', message);
  }
  if (!allFinite(output)) {
    const message = `the network's output at timestep ${t}: wanted finite values; got infinity or NaN`;
    throw new DiffusionError('NETWORK_OUTPUT_NOT_FINITE', message);
  }
}

// A plain loop, as everywhere that each value of each step is looked at.
function allFinite(values: Float32Array): boolean {
  for (let e = 0; e < values.length; e++) if (!Number.isFinite(values[e])) return false;
  return true;
}

function halves({ variance, contract: { channels } }: SamplerPlan, output: Float32Array): NetworkOutput {
  if (variance.type === 'fixed') return { prediction: output, varianceValues: new Float32Array(0) };
  return { prediction: channelHalf(output, channels, 0), varianceValues: channelHalf(output, channels, 1) };
}

// Half 0 or 1 of every pixel's 2C channels.
function channelHalf(output: Float32Array, channels: number, half: 0 | 1): Float32Array {
  const values = new Float32Array(output.length / 2);
  // Element by element: a view of each pixel would be garbage by the thousand.
  let from = half * channels;
  for (let pixel = 0; pixel < values.length; pixel += channels, from += 2 * channels) {
    for (let channel = 0; channel < channels; channel++)
      values[pixel + channel] = output[from + channel] ?? NaN;
  }
  return values;
}
