/** What is asked for -> a plan in which nothing is left open: the sampler says what it would do. */

import {
  imageFormats,
  priorities,
  samplerWire,
  weightsFromWire,
  weightsToWire,
  type Priority,
  type samplingWire,
} from '../contract/index.js';
import { DiffusionError } from '../foundation/index.js';
import type { WeightsChoice } from '../recipe/index.js';
import { callStream, callUnary } from '../rpc/index.js';
import type { FormatName } from './formats.js';
import { checkPlan, type BatchPlan } from './plan.js';
import type { SamplerPool } from './sampler-pool.js';

export interface AskedBatch {
  readonly model: string;
  /** The newest where it is undefined. */
  readonly checkpointStep: number | undefined;
  readonly weights: WeightsChoice | undefined;
  readonly settings: samplingWire.SamplerSettings;
  readonly seed: bigint;
  readonly firstIndex: number;
  readonly count: number;
  /** In turn; `all` for all classes of the model. */
  readonly classes: readonly number[] | 'all';
  readonly shardSize: number;
  readonly format: FormatName;
}

/**
 * Asks a sampler for the first shard, takes what it answers before the first step, and ends the call. So settings that
 * are refused, and calls that are too large for it, never become a plan.
 *
 * @throws DiffusionError as the sampler sent it; INVALID_ARGUMENT for a shard that is too large.
 */
export async function makePlan(
  pool: SamplerPool,
  asked: AskedBatch,
  priority: Priority,
  signal: AbortSignal,
): Promise<BatchPlan> {
  const { model, settings, firstIndex, count, shardSize, format } = asked;
  const classes = await classesOf(pool, asked, signal);
  const accepted = await firstAnswer(pool, asked, classes, priority, signal);
  const { checkpoint, width, height, channels } = accepted;
  if (checkpoint === undefined) throw new DiffusionError('ANSWER_UNKNOWN', 'the sampler names no checkpoint');
  const plan: BatchPlan = {
    formatVersion: 1,
    model,
    checkpoint: { step: checkpoint.step, manifestSha256: checkpoint.manifestSha256 },
    weights: weightsFromWire(accepted.weights) ?? 'raw',
    settings: accepted.settings ?? settings,
    ...{ seed: asked.seed.toString(), firstIndex, count, classes: [...classes], shardSize, format },
    image: { width, height, channels },
  };
  checkPlan(plan);
  return plan;
}

async function classesOf(
  pool: SamplerPool,
  { model, checkpointStep, classes }: AskedBatch,
  signal: AbortSignal,
): Promise<readonly number[]> {
  if (classes !== 'all') return classes;
  const { checkpoint } = await pool.use(signal, ({ client }) =>
    callUnary(client, client.getCheckpoint, { model, checkpointStep }, { signal }),
  );
  return Array.from({ length: checkpoint?.recipe?.architecture?.numClasses ?? 0 }, (_, label) => label);
}

async function firstAnswer(
  pool: SamplerPool,
  { model, checkpointStep, weights, settings, seed, firstIndex, count, shardSize }: AskedBatch,
  classes: readonly number[],
  priority: Priority,
  signal: AbortSignal,
): Promise<samplerWire.Accepted> {
  const images = samplerWire.NewImages.fromPartial({
    ...{ model, checkpointStep, settings, seed, firstIndex, count: Math.min(count, shardSize) },
    ...(weights !== undefined && { weights: weightsToWire(weights) }),
    format: imageFormats.write('png'),
    classes: classesFor(classes, firstIndex, Math.min(count, shardSize)),
  });
  return pool.use(signal, async ({ client, answered }) => {
    const request = batchRequest(images, priority);
    for await (const { event } of callStream(client, client.generate, request, { signal })) {
      answered();
      if (event?.$case === 'accepted') return event.value;
    }
    throw new DiffusionError('ANSWER_UNKNOWN', 'the sampler ended a call without accepting it');
  });
}

/** The classes of images as a request names them: none, one for all, or one for each. */
export function classesFor(classes: readonly number[], first: number, count: number): number[] {
  if (classes.length <= 1) return [...classes];
  return Array.from({ length: count }, (_, i) => classes[(first + i) % classes.length] ?? 0);
}

export function batchRequest(images: samplerWire.NewImages, priority: Priority): samplerWire.GenerateRequest {
  return samplerWire.GenerateRequest.fromPartial({
    images: { $case: 'newImages', value: images },
    priority: priorities.write(priority),
  });
}
