/** One Generate call after its acceptance: progress, previews and images as the reader takes them. */

import { durationFromMs, imageChunks, imageFormats, type samplerWire } from '../../shared/contract/index.js';
import type { Clock } from '../../shared/foundation/index.js';
import { encodeOutput } from './encode-output.js';
import { imagePool, type FinishedImage, type ImagePool, type PreviewImage } from './image-pool.js';
import type { ImageSeries } from './resolve-generation.js';
import type { PredictRow } from './step-batcher.js';

export type GenerateEvent = NonNullable<samplerWire.GenerateResponse['event']>;

export interface GenerationContext {
  readonly predict: PredictRow;
  /** Images in work or unread at once. */
  readonly window: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** When the call came, on the monotonic clock. */
  readonly calledMs: number;
}

/**
 * Nothing is queued for a slow reader but whole images, and no more of these than the window: progress and previews
 * are made when they are taken, from the newest state.
 */
export async function* generateImages(
  series: ImageSeries,
  { predict, window, signal, clock, calledMs }: GenerationContext,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const { count, plan } = series;
  const stepsTotal = count * plan.steps;
  let begunMs: number | undefined;
  const onStart = (): void => {
    begunMs ??= clock.monotonicMs();
  };
  const pool = imagePool(series, { predict, window, signal, onStart });
  try {
    let given = 0;
    while (given < count) {
      await pool.changed();
      yield progress(pool);
      for (let image = pool.takeImage(); image !== undefined; image = pool.takeImage()) {
        yield* imageEvents(series, image);
        given += 1;
        pool.given();
      }
      for (let preview = pool.takePreview(); preview !== undefined; preview = pool.takePreview()) {
        yield* previewEvents(series, preview);
      }
    }
  } finally {
    await pool.stop();
  }
  const elapsedMs = clock.monotonicMs() - calledMs;
  const queuedMs = (begunMs ?? calledMs) - calledMs;
  const imagesPerSecond = (1000 * count) / Math.max(elapsedMs - queuedMs, 1);
  yield {
    $case: 'completed',
    value: {
      images: count,
      elapsed: durationFromMs(elapsedMs),
      queued: durationFromMs(queuedMs),
      imagesPerSecond,
    },
  };

  function progress({ stepsDone, imagesDone }: ImagePool): GenerateEvent {
    const nowMs = clock.monotonicMs();
    const msPerStep = stepsDone === 0 || begunMs === undefined ? undefined : (nowMs - begunMs) / stepsDone;
    return {
      $case: 'progress',
      value: {
        stepsDone: BigInt(stepsDone),
        stepsTotal: BigInt(stepsTotal),
        imagesDone,
        imagesTotal: count,
        elapsed: durationFromMs(nowMs - calledMs),
        eta: msPerStep === undefined ? undefined : durationFromMs(msPerStep * (stepsTotal - stepsDone)),
      },
    };
  }
}

function* imageEvents(
  { seed, shape, format }: ImageSeries,
  { index, bytes }: FinishedImage,
): Generator<GenerateEvent> {
  for (const chunk of imageChunks({ ...shape, format: imageFormats.write(format), bytes })) {
    yield { $case: 'image', value: { index: BigInt(index), seed, chunk } };
  }
}

async function* previewEvents(
  { shape }: ImageSeries,
  { index, step, predXStart }: PreviewImage,
): AsyncGenerator<GenerateEvent> {
  const bytes = await encodeOutput(predXStart, shape, 'png');
  for (const chunk of imageChunks({ ...shape, format: imageFormats.write('png'), bytes })) {
    yield { $case: 'preview', value: { index: BigInt(index), step, chunk } };
  }
}
