/** The images of one call: some in work, some finished and waiting for the reader, never more than a window. */

import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';

import { deferred } from '../../shared/foundation/index.js';
import type { ImageStep } from '../../shared/sampler/index.js';
import { encodeOutput } from './encode-output.js';
import { imageSteps, type ImageNetwork } from './image-steps.js';
import { outputBuffer, type ImageOutput } from './output-buffer.js';
import type { ImageSeries } from './resolve-generation.js';
import type { OpenSlot } from './slots.js';
import { VALUES_A_TURN } from './step-batcher.js';

export interface ImagePool {
  /** Over all images. */
  readonly stepsDone: number;
  readonly imagesDone: number;
  /** Resolves when anything has changed since it resolved last. @throws what made an image fail. */
  changed(): Promise<void>;
  /** What the reader hasn't had. A finished image's place in the window is free when it is `given`. */
  take(): ImageOutput | undefined;
  given(): void;
  /** Stops all work. @returns what resumes each image that was in work. */
  tokens(): Promise<TokenOutput[]>;
  /** Stops all work, and resolves when none is left; there are no tokens any more then. */
  stop(): Promise<void>;
}

type TokenOutput = Extract<ImageOutput, { kind: 'token' }>;

export interface ImagePoolOptions extends ImageNetwork {
  /** Images in work or unread at once. */
  readonly window: number;
  /** Called after each step of an image. */
  readonly onStep: () => void;
}

/** Starts the first images. */
export function imagePool(
  series: ImageSeries,
  { window, signal, onStep, ...network }: ImagePoolOptions,
): ImagePool {
  const { count, plan, shape, format, task, taskAt, reports } = series;
  const length = shape.width * shape.height * shape.channels;
  const stopping = new AbortController();
  const stopped = AbortSignal.any([signal, stopping.signal]);
  // One listener for each image of the window; Node warns of a leak above ten.
  setMaxListeners(0, stopped);
  const tasks = new Set<Promise<void>>();
  const lastSteps = new Map<number, ImageStep>();
  /** Of the images in work, by their indices. */
  const slots = new Map<number, OpenSlot>();
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
    const steps = imageSteps(
      task,
      { ...options, plan },
      { ...network, signal: stopped },
      { isRead, onSlot: (slot) => slots.set(index, slot) },
    );
    let image: Float32Array = new Float32Array(0);
    for await (const step of steps) {
      const { stepsDone: done, taken } = step;
      stepsDone += taken;
      lastSteps.set(index, step);
      for (let k = 0; k < taken; k++) onStep();
      await putReports(index, step);
      if (done === plan.steps) image = await step.sample();
      change.resolve();
    }
    lastSteps.delete(index);
    slots.get(index)?.close();
    slots.delete(index);
    const bytes = await encodeOutput(image, shape, format);
    unread.put({ kind: 'image', index, bytes });
    imagesDone += 1;
    change.resolve();
  }

  const { previewEverySteps, resumeTokenEverySteps, trajectoryEverySteps } = reports;
  const isEvery = (every: number, step: number): boolean => every > 0 && step % every === 0;

  function isRead(step: number): boolean {
    return [previewEverySteps, resumeTokenEverySteps, trajectoryEverySteps].some((every) =>
      isEvery(every, step),
    );
  }

  /** The last step is the image itself, so it has no preview and no token, but it is a step of the trajectory. */
  async function putReports(index: number, image: ImageStep): Promise<void> {
    const { stepsDone: step } = image;
    const isLast = step === plan.steps;
    if (isEvery(previewEverySteps, step) && !isLast)
      unread.put({ kind: 'preview', index, step, predXStart: await image.predXStart() });
    if (isEvery(resumeTokenEverySteps, step) && !isLast)
      unread.put({ kind: 'token', index, step, state: await image.state() });
    if (trajectoryEverySteps > 0 && (isLast || isEvery(trajectoryEverySteps, step))) {
      unread.put({ kind: 'trajectory', index, step, sample: await image.sample() });
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

  async function endWork(): Promise<void> {
    stopping.abort();
    unread.close();
    await Promise.all(tasks);
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
    tokens: async () => {
      await endWork();
      const tokens: TokenOutput[] = [];
      for (const [index, { stepsDone: step, state }] of lastSteps) {
        if (step === plan.steps) continue;
        // Where the engine has ended as well, the image is computed again by who asks for it again.
        const read = await state().catch(() => undefined);
        if (read !== undefined) tokens.push({ kind: 'token', index, step, state: read });
      }
      return tokens;
    },
    stop: async () => {
      await endWork();
      for (const slot of slots.values()) slot.close();
    },
  };
}
