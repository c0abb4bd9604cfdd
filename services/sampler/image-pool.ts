/** The images of one call: some in work, some finished and waiting for the reader, never more than a window. */

import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';

import { deferred } from '../../shared/foundation/index.js';
import { imageNoise, solver } from '../../shared/sampler/index.js';
import { encodeOutput } from './encode-output.js';
import type { ImageSeries } from './resolve-generation.js';
import { VALUES_A_TURN, type PredictRow } from './step-batcher.js';

export interface FinishedImage {
  readonly index: number;
  readonly bytes: Uint8Array;
}

export interface PreviewImage {
  readonly index: number;
  /** Steps that the image has done. */
  readonly step: number;
  /** [H, W, C]. */
  readonly predXStart: Float32Array;
}

export interface ImagePool {
  /** Network evaluations done, over all images. */
  readonly stepsDone: number;
  readonly imagesDone: number;
  /** Resolves when anything has changed since it resolved last. @throws what made an image fail. */
  changed(): Promise<void>;
  /** A finished image that the reader hasn't had. Its place in the window is free when it is `given`. */
  takeImage(): FinishedImage | undefined;
  given(): void;
  /** The newest preview of an image that isn't finished. */
  takePreview(): PreviewImage | undefined;
  /** Stops all work, and resolves when none is left. */
  stop(): Promise<void>;
}

export interface ImagePoolOptions {
  readonly predict: PredictRow;
  /** Images in work or unread at once. */
  readonly window: number;
  readonly signal: AbortSignal;
  /** Called when a row of the call first enters a pass. */
  readonly onStart: () => void;
}

/** Starts the first images. */
export function imagePool(
  series: ImageSeries,
  { predict, window, signal, onStart }: ImagePoolOptions,
): ImagePool {
  const { count, firstIndex, plan, seed, shape, format, previewEverySteps, classes } = series;
  const length = shape.width * shape.height * shape.channels;
  const stopping = new AbortController();
  const stopped = AbortSignal.any([signal, stopping.signal]);
  // One for each image of the window; Node takes more than ten for a leak.
  setMaxListeners(0, stopped);
  const tasks = new Set<Promise<void>>();
  const finished: FinishedImage[] = [];
  const previews = new Map<number, PreviewImage>();
  let news = deferred();
  let failure: { readonly error: unknown } | undefined;
  let filling = false;
  let startedCount = 0;
  let givenCount = 0;
  let stepsDone = 0;
  let imagesDone = 0;

  async function generateImage(offset: number): Promise<void> {
    const index = firstIndex + offset;
    const y = classes[offset];
    const steps = solver({
      plan,
      predict: (row) => predict(row, { signal: stopped, onStart }),
      noise: imageNoise(seed, index, length),
      signal: stopped,
      ...(y !== undefined && { y }),
    });
    let image: Float32Array = new Float32Array(0);
    for await (const { index: step, sample, predXStart } of steps) {
      image = sample;
      stepsDone += 1;
      const done = step + 1;
      const wanted = previewEverySteps > 0 && done % previewEverySteps === 0 && done < plan.steps;
      if (wanted) previews.set(index, { index, step: done, predXStart });
      news.resolve();
    }
    const bytes = await encodeOutput(image, shape, format);
    previews.delete(index);
    finished.push({ index, bytes });
    imagesDone += 1;
    news.resolve();
  }

  async function fillWindow(): Promise<void> {
    if (filling) return;
    filling = true;
    for (let values = 0; startedCount < count && startedCount - givenCount < window; values += length) {
      // An image begins with noise to draw.
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
      news.resolve();
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
      await news.promise;
      // All rows of a pass come back together: one change, not one a row.
      await setImmediate();
      news = deferred();
      if (failure !== undefined) throw failure.error;
    },
    takeImage: () => finished.shift(),
    given: () => {
      givenCount += 1;
      void fillWindow();
    },
    takePreview: () => {
      const [preview] = previews.values();
      if (preview !== undefined) previews.delete(preview.index);
      return preview;
    },
    stop: async () => {
      stopping.abort();
      await Promise.all(tasks);
    },
  };
}
