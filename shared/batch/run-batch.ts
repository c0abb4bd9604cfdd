/** One worker's share of a batch: the shards that nobody has made yet, one after the other, several at once. */

import { randomInt } from 'node:crypto';

import type { Priority } from '../contract/index.js';
import { DiffusionError, pause } from '../foundation/index.js';
import type { ObjectStore } from '../store/index.js';
import type { Claims } from './claims.js';
import { isCancelled, isComplete, missingShards } from './open-batch.js';
import { makeShard } from './make-shard.js';
import { imagesOf, shardRange, shardsOf, type BatchPart, type BatchPlan } from './plan.js';
import type { SamplerPool } from './sampler-pool.js';

/** How far a worker's part is. */
export interface BatchProgress {
  /** Of images. */
  readonly total: number;
  /** In complete shards, whoever made them, and in those that this worker makes now. */
  readonly done: number;
  /** By this worker. */
  readonly made: number;
}

export interface RunOptions {
  readonly store: ObjectStore;
  readonly plan: BatchPlan;
  readonly pool: SamplerPool;
  readonly claims: Claims;
  /** All shards where it is undefined. */
  readonly part?: BatchPart | undefined;
  /** Calls at once. */
  readonly workers: number;
  readonly priority: Priority;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: BatchProgress) => void;
  /** A shard that this worker has written. */
  readonly onShard: (shard: number, images: number) => void;
}

/** How often a worker looks whether other workers' shards are complete, or given up. */
const LOOK_AGAIN_MS = 1000;
const LOOK_FOR_CANCEL_MS = 3000;

/**
 * Works until all shards of the part are complete, whoever makes them.
 *
 * @returns the last progress.
 * @throws DiffusionError FAILED_PRECONDITION (reason BATCH_CANCELLED) once the batch is cancelled; as the samplers and the
 * store; the signal's reason.
 */
export async function runBatch(options: RunOptions): Promise<BatchProgress> {
  const { store, plan, part, workers, onProgress } = options;
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const shards = shardsOf(plan, part);
  const { shards: todo, images } = await missingShards(store, plan, { signal, part });
  const total = imagesOf(plan, shards);
  let progress = { total, done: total - images, made: 0 };
  const advance = (done: number, made = 0): void => {
    progress = { total, done: progress.done + done, made: progress.made + made };
    onProgress(progress);
  };
  advance(0);
  // Where each began at the first one, many workers would ask for the same ones.
  if (part === undefined && todo.length > 0) todo.push(...todo.splice(0, randomInt(todo.length)));

  /** Makes a shard; false where another worker is at work on it. */
  async function attempt(shard: number): Promise<boolean> {
    if (await isComplete(store, shard, { signal })) {
      advance(shardRange(plan, shard).count);
      return true;
    }
    const release = await options.claims.take(shard, signal);
    if (release === undefined) return false;
    try {
      await make(shard);
      return true;
    } finally {
      await release();
    }
  }

  async function make(shard: number): Promise<void> {
    const onImage = (): void => {
      advance(1, 1);
    };
    options.onShard(
      shard,
      await makeShard(store, options.pool, plan, shard, { ...options, signal, onImage }),
    );
  }

  /** Shards that were found to be at work elsewhere, one after the other. */
  let elsewhere = 0;

  async function work(): Promise<void> {
    for (;;) {
      const shard = todo.shift();
      if (shard === undefined) return;
      if (await attempt(shard)) {
        elsewhere = 0;
        continue;
      }
      todo.push(shard);
      elsewhere += 1;
      if (elsewhere < todo.length) continue;
      elsewhere = 0;
      await pause(LOOK_AGAIN_MS, signal);
    }
  }

  if (await isCancelled(store, { signal })) throw cancelled(store);
  const watching = watchForCancel(store, ending, signal);
  const working = Array.from({ length: workers }, work);
  try {
    await Promise.all(working);
    await options.claims.clear(signal);
    return progress;
  } catch (error) {
    ending.abort(error);
    throw error;
  } finally {
    ending.abort();
    await Promise.allSettled([watching, ...working]);
  }
}

async function watchForCancel(
  store: ObjectStore,
  ending: AbortController,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await pause(LOOK_FOR_CANCEL_MS, signal, { ref: false });
    if (signal.aborted) return;
    // A store that doesn't answer is the workers' matter.
    const found = await isCancelled(store, { signal }).catch(() => false);
    if (found) ending.abort(cancelled(store));
  }
}

function cancelled(store: ObjectStore): DiffusionError {
  return new DiffusionError('BATCH_CANCELLED', `the batch in ${store.description} is cancelled`, {
    metadata: { remedy: 'to go on with it: npx ip-diffusion batch cancel OUTPUT --undo' },
  });
}
