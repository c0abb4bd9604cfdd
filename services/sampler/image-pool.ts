/** The images of one call: some in work, some finished and waiting for the reader, never more than a window. */

import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';

import { deferred } from '../../shared/foundation/index.js';
import { encode, solver, type SamplerStep } from '../../shared/sampler/index.js';
import type { RepeatedSpans } from '../../shared/tracing/index.js';
import { encodeOutput } from './encode-output.js';
import { outputBuffer, type ImageOutput } from './output-buffer.js';
import type { ImageSeries } from './resolve-generation.js';
import type { Owner } from './priorities.js';
import { VALUES_A_TURN, type PredictRow } from './step-batcher.js';

export interface ImagePool {
  /** Over all images. */
  readonly stepsDone: number;
  readonly imagesDone: number;
  /** Resolves when anything has changed since it resolved last. @throws what made an image fail. */
  changed(): Promise<void>;
  /** What the reader hasn't had. A finished image's place in the window is free when it is `given`. */
  take(): ImageOutput | undefined;
  given(): void;
  /** What resumes each image that is in work. */
  tokens(): Extract<ImageOutput, { kind: 'token' }>[];
  /** Stops all work, and resolves when none is left. */
  stop(): Promise<void>;
}

export interface ImagePoolOptions {
  readonly predict: PredictRow;
  readonly owner: Owner;
  /** Images in work or unread at once. */
  readonly window: number;
  readonly signal: AbortSignal;
  readonly passes?: RepeatedSpans | undefined;
  /** Called when a row of the call first enters a pass. */
  readonly onStart: () => void;
  /** Called after each step of an image. */
  readonly onStep: () => void;
}

/** Starts the first images. */
export function imagePool(
  series: ImageSeries,
  { predict, owner, window, signal, passes, onStart, onStep }: ImagePoolOptions,
): ImagePool {
  const { count, plan, shape, format, task, taskAt, reports } = series;
  const length = shape.width * shape.height * shape.channels;
  const stopping = new AbortController();
  const stopped = AbortSignal.any([signal, stopping.signal]);
  // One listener for each image of the window; Node warns of a leak above ten.
  setMaxListeners(0, stopped);
  const tasks = new Set<Promise<void>>();
  const lastSteps = new Map<number, Extract<ImageOutput, { kind: 'token' }>>();
  const unread = outputBuffer();
  let change = deferred();
  let failure: { readonly error: unknown } | undefined;
  let filling = false;
  let startedCount = 0;
  let givenCount = 0;
  let stepsDone = 0;
  let imagesDone = 0;

  async function generateImage(offset: number): Promise<void> {
    const { index, options } = taskAt(offset);
    const steps = (task === 'encode' ? encode : solver)({
      ...options,
      plan,
      predict: (row) => predict(row, { owner, signal: stopped, passes, onStart }),
      signal: stopped,
    });
    let image: Float32Array = new Float32Array(0);
    for await (const step of steps) {
      image = step.sample;
      stepsDone += 1;
      lastSteps.set(index, { kind: 'token', index, step: step.index + 1, state: step.state });
      onStep();
      await putReports(index, step);
      change.resolve();
    }
    lastSteps.delete(index);
    const bytes = await encodeOutput(image, shape, format);
    unread.put({ kind: 'image', index, bytes });
    imagesDone += 1;
    change.resolve();
  }

  /** The last step is the image itself, so it has no preview and no token, but it is a step of the trajectory. */
  async function putReports(
    index: number,
    { index: before, sample, predXStart, state }: SamplerStep,
  ): Promise<void> {
    const step = before + 1;
    const isDue = (every: number): boolean => every > 0 && step % every === 0 && step < plan.steps;
    if (isDue(reports.previewEverySteps)) unread.put({ kind: 'preview', index, step, predXStart });
    if (isDue(reports.resumeTokenEverySteps)) unread.put({ kind: 'token', index, step, state });
    if (isDue(reports.trajectoryEverySteps) || (reports.trajectoryEverySteps > 0 && step === plan.steps)) {
      unread.put({ kind: 'trajectory', index, step, sample });
      change.resolve();
      await unread.room();
    }
  }

  async function fillWindow(): Promise<void> {
    if (filling) return;
    filling = true;
    for (let values = 0; startedCount < count && startedCount - givenCount < window; values += length) {
      // Starting an image computes its noise.
      if (values >= VALUES_A_TURN) {
        values = 0;
        await setImmediate();
        if (stopped.aborted) break;
      }
      startImage(startedCount);
      startedCount += 1;
    }
    filling = false;
  }

  function startImage(offset: number): void {
    const task = generateImage(offset).catch((error: unknown) => {
      failure ??= { error };
      change.resolve();
    });
    tasks.add(task);
    void task.then(() => tasks.delete(task));
  }

  void fillWindow();
  return {
    get stepsDone() {
      return stepsDone;
    },
    get imagesDone() {
      return imagesDone;
    },
    changed: async () => {
      await change.promise;
      // All rows of a pass come back together: one change, not one a row.
      await setImmediate();
      change = deferred();
      if (failure !== undefined) throw failure.error;
    },
    take: unread.take,
    given: () => {
      givenCount += 1;
      void fillWindow();
    },
    tokens: () => [...lastSteps.values()].filter(({ step }) => step < plan.steps),
    stop: async () => {
      stopping.abort();
      unread.close();
      await Promise.all(tasks);
    },
  };
}
