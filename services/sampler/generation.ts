/** One Generate call after its acceptance: progress, previews and other output of its images, and the images, as the reader takes them. */

import { durationFromMs } from '../../shared/contract/index.js';
import { DiffusionError, type Clock } from '../../shared/foundation/index.js';
import type { RepeatedSpans } from '../../shared/tracing/index.js';
import { eventsOf, type GenerateEvent } from './generate-events.js';
import { imagePool, type ImagePool } from './image-pool.js';
import type { ImageSeries } from './resolve-generation.js';
import type { Owner } from './priorities.js';
import type { Slots } from './slots.js';
import type { PredictRow } from './step-batcher.js';

export interface GenerationContext {
  readonly predict: PredictRow;
  /** Of the engine, where it has any. */
  readonly slots?: Slots | undefined;
  readonly owner: Owner;
  /** Images in work or unread at once. */
  readonly window: number;
  readonly signal: AbortSignal;
  /** Takes the passes that compute the call's rows. */
  readonly passes?: RepeatedSpans | undefined;
  readonly clock: Clock;
  /** Called after each step of an image. */
  readonly onStep: () => void;
  /** Called after the reader has had an image. */
  readonly onImage?: () => void;
  /** Signs resume tokens. */
  readonly tokenKey: Buffer;
  /** When the call came, on the monotonic clock. */
  readonly calledMs: number;
}

/**
 * For a slow reader only finished images (at most the window) and a bounded number of trajectory steps are queued.
 * Progress, previews and tokens are made from the newest state when the reader takes them.
 */
export async function* generateImages(
  series: ImageSeries,
  {
    predict,
    slots,
    owner,
    window,
    signal,
    passes,
    onStep,
    onImage,
    clock,
    tokenKey,
    calledMs,
  }: GenerationContext,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const { count, stepsTotal } = series;
  let begunMs: number | undefined;
  const onStart = (): void => {
    begunMs ??= clock.monotonicMs();
  };
  const pool = imagePool(series, { predict, slots, owner, window, signal, passes, onStart, onStep });
  try {
    let given = 0;
    while (given < count) {
      await pool.changed();
      yield progress(pool);
      for (let output = pool.take(); output !== undefined; output = pool.take()) {
        yield* eventsOf(series, output, tokenKey);
        if (output.kind !== 'image') continue;
        given += 1;
        pool.given();
        onImage?.();
      }
    }
  } catch (error) {
    // What has been computed isn't lost: another replica, or this one after its start, resumes the images.
    if (isStopping(signal) && series.task !== 'encode')
      for (const token of await pool.tokens()) yield* eventsOf(series, token, tokenKey);
    throw error;
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
        remaining: msPerStep === undefined ? undefined : durationFromMs(msPerStep * (stepsTotal - stepsDone)),
      },
    };
  }
}

function isStopping({ reason }: AbortSignal): boolean {
  return reason instanceof DiffusionError && reason.reason === 'SERVICE_STOPPING';
}
