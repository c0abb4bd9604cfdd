/** The steps of one image: in a slot of the device where it has any and the image fits, else over its pixels here. */

import {
  encode,
  slotSolver,
  solver,
  unfitForSlots,
  type ImageStep,
  type SamplerStep,
  type SolverOptions,
} from '../../shared/sampler/index.js';
import type { RepeatedSpans } from '../../shared/tracing/index.js';
import type { Owner } from './priorities.js';
import type { ImageSeries } from './resolve-generation.js';
import type { OpenSlot, Slots } from './slots.js';
import type { PredictRow } from './step-batcher.js';

/** How the network of an image is asked. */
export interface ImageNetwork {
  readonly predict: PredictRow;
  /** Absent where the engine has none. */
  readonly slots?: Slots | undefined;
  readonly owner: Owner;
  readonly signal: AbortSignal;
  /** Of the call: takes the passes that compute its rows. */
  readonly passes?: RepeatedSpans | undefined;
  /** Called when a pass takes a row in. */
  readonly onStart: () => void;
}

export interface ImageReader {
  /** Whether the image is looked at after so many steps. */
  readonly isRead: (stepsDone: number) => boolean;
  /** Called with the slot that the image has; it must be closed by whoever is called. */
  readonly onSlot: (slot: OpenSlot) => void;
}

/**
 * Which of both ways an image goes depends on its settings alone: they differ in rounding.
 *
 * @throws as the solver.
 */
export async function* imageSteps(
  task: ImageSeries['task'],
  options: Omit<SolverOptions, 'predict'>,
  { predict, slots, ...call }: ImageNetwork,
  { isRead, onSlot }: ImageReader,
): AsyncGenerator<ImageStep, void, undefined> {
  const { signal } = call;
  const { stream } = options.noise;
  if (
    slots !== undefined &&
    stream !== undefined &&
    task !== 'encode' &&
    unfitForSlots(options).length === 0
  ) {
    const slot = await slots.open({ ...call, noise: stream });
    onSlot(slot);
    yield* slotSolver({ ...options, signal }, slot, isRead);
    return;
  }
  const steps = (task === 'encode' ? encode : solver)({
    ...options,
    predict: (row) => predict(row, call),
    signal,
  });
  for await (const step of steps) yield ofPixels(step);
}

function ofPixels({ index, sample, predXStart, state }: SamplerStep): ImageStep {
  return {
    stepsDone: index + 1,
    taken: 1,
    sample: () => Promise.resolve(sample),
    predXStart: () => Promise.resolve(predXStart),
    state: () => Promise.resolve(state),
  };
}
