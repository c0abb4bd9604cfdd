/** One image's trajectory from pure noise, beside real images noised to the same timesteps. */
import { at } from '../foundation/index.js';
import { qSample } from '../noise/index.js';
import { deriveKey, gaussian } from '../random/index.js';
import { imageNoise, predictedEpsilon, solver, type Predict, type SolverOptions } from '../sampler/index.js';
import type { Setup } from './setup.js';

/** One timestep of a trajectory. The arrays are shared: change none. */
export interface Level {
  /** The respaced step, from steps - 1 down to 0. */
  readonly i: number;
  /** x^_t: what the sampler made of pure noise. */
  readonly sampled: Float32Array;
  /** x_t of the trajectory's own real image. */
  readonly diffused: Float32Array;
  /** x_t of another real image, with other noise. */
  readonly otherDiffused: Float32Array;
  /** The network's epsilon at the first two, where asked for. */
  readonly epsilons?: { readonly sampled: Float32Array; readonly diffused: Float32Array };
}

export interface Images {
  readonly xStart: Float32Array;
  readonly other: Float32Array;
}

/**
 * Walks the trajectory of an image; its noise depends on the seed and the index alone.
 *
 * @returns the finished image.
 * @throws as the solver.
 */
export async function walk(
  setup: Setup,
  index: number,
  { xStart, other }: Images,
  withEpsilons: boolean,
  onLevel: (level: Level) => void,
): Promise<Float32Array> {
  const { plan } = setup;
  const options = solverOptions(setup, index);
  const second = setup.images + index;
  const steps = solver(options);
  let x = options.noise(0);
  for (let i = plan.steps - 1; i >= 0; i--) {
    const diffused = diffusedTo(setup, i, index, xStart);
    // Asked together with the solver's own row, so that both can share a pass.
    const asked = withEpsilons
      ? predictedEpsilon({ ...options, predict: setup.model.predict }, i, diffused)
      : undefined;
    const [{ value: step }, ofDiffused] = await Promise.all([steps.next(), asked]);
    const epsilons = ofDiffused && {
      epsilons: { sampled: await predictedEpsilon(options, i, x), diffused: ofDiffused },
    };
    onLevel({ i, sampled: x, diffused, otherDiffused: diffusedTo(setup, i, second, other), ...epsilons });
    x = step?.sample ?? x;
  }
  return x;
}

/** The options of the solver that makes the image of an index. */
export function solverOptions({ model, data, plan, seed, signal }: Setup, index: number): SolverOptions {
  return {
    plan,
    predict: remembering(model.predict),
    noise: imageNoise(seed, index, valuesOf(model)),
    ...(data.label !== undefined && { y: data.label(index) }),
    ...(signal && { signal }),
  };
}

/** How many values an image has. */
export function valuesOf({ contract, imageSize }: Setup['model']): number {
  return imageSize * imageSize * contract.channels;
}

/** x_t of a real image at respaced step `i`, with noise that depends on the seed, the index and the step. */
export function diffusedTo(
  { plan, seed }: Setup,
  i: number,
  index: number,
  xStart: Float32Array,
): Float32Array {
  return qSample(plan.tables, xStart, i, measuringNoise(seed, 'diffusion', index, i, xStart.length));
}

/** Noise of a measure: of another purpose than any that makes images. */
export function measuringNoise(
  seed: bigint,
  purpose: 'diffusion' | 'perturbation' | 'direction',
  index: number,
  i: number,
  length: number,
): Float32Array {
  return gaussian(deriveKey(seed, `measuring ${purpose}`), [index, i], length);
}

/** The training timestep of each respaced step, rising: the x of most figures. */
export function timestepsOf({ plan }: Setup): number[] {
  return Array.from({ length: plan.steps }, (_, i) => at(plan.timestepMap, i));
}

/** The network, which remembers its last answer: a measure asks for what the solver has just asked for. */
function remembering(predict: Predict): Predict {
  let last: { readonly xT: Float32Array; readonly t: number; readonly y: number } | undefined;
  let answer: Promise<Float32Array> | undefined;
  return (row, signal) => {
    if (answer !== undefined && last?.xT === row.xT && last.t === row.t && last.y === row.y) return answer;
    last = row;
    answer = predict(row, signal);
    return answer;
  };
}
