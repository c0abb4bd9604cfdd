/** One step of a solver over the pixels of an image. */
import { at } from '../foundation/index.js';
import { pixels } from '../noise/index.js';
import { evaluate } from './evaluation.js';
import type { Evaluation } from './evaluation.js';
import type { SamplerPlan, SamplerStep, SolverOptions, Stage } from './solver.js';

/** What a step takes from the one before. */
interface StepStart {
  readonly x: Float32Array;
  readonly history: readonly Float32Array[];
}

interface StepEnd extends StepStart {
  /** x_0 as predicted at the step's start. */
  readonly predXStart: Float32Array;
}

/** Takes the stages of respaced step `i`. @throws as `evaluate`. */
export async function takeStep(
  options: SolverOptions,
  stages: readonly Stage[],
  i: number,
  { x, history }: StepStart,
): Promise<StepEnd> {
  let predXStart: Float32Array | undefined;
  for (const { level, deviation, combine } of stages) {
    const asked = evaluate(options, level, x);
    // Drawn while the network runs.
    const noise = deviation === 0 ? undefined : options.noise(noisePosition(options.plan, i));
    const evaluation = await asked;
    const { predXStart: xStart } = evaluation;
    const { x: mean, history: past = [] } = combine(pixels, { x, xStart, history });
    x = noise === undefined ? mean : withNoise(mean, deviation, noise, evaluation);
    history = past;
    predXStart ??= xStart;
  }
  return { x, history, predXStart: predXStart ?? x };
}

/** Of the noise of respaced step `i`; 0 is x_T's. */
export function noisePosition({ steps }: Pick<SamplerPlan, 'steps'>, i: number): number {
  return steps - i;
}

function withNoise(
  mean: Float32Array,
  deviation: Stage['deviation'],
  noise: Float32Array,
  evaluation: Evaluation,
): Float32Array {
  const predicted = deviation === 'predicted' ? evaluation.deviation() : deviation;
  if (typeof predicted === 'number') return pixels.sum([1, mean], [predicted, noise]);
  const x = new Float32Array(mean.length);
  for (let e = 0; e < x.length; e++) x[e] = (mean[e] ?? NaN) + (predicted[e] ?? NaN) * (noise[e] ?? NaN);
  return x;
}

/** The step that a solver yields after `index` others, from respaced step `i`. */
export function samplerStep(
  { timestepMap, steps }: SamplerPlan,
  index: number,
  i: number,
  { x, predXStart, history }: StepEnd,
): SamplerStep {
  const state = { stepsDone: index + 1, x, history };
  return { index, t: at(timestepMap, i), steps, sample: x, predXStart, state };
}
