/**
 * Which worker is at work on which shard, so that two don't make the same one. Advice only: a shard that is made twice
 * has the same bytes, so nothing depends on a claim being right.
 */

import * as z from 'zod';

import { countSchema, DiffusionError, pause, type Clock } from '../foundation/index.js';
import { inspectJson, jsonBytes } from '../models/index.js';
import { hasEnded, processToken, thisProcess } from '../processes/index.js';
import { isLostCondition, isNotFound, type ObjectStore } from '../store/index.js';

const CLAIMS = 'claims/';
const RENEW_EVERY_MS = 15_000;
/** A claim that wasn't renewed for so long is of a worker that was killed, or is stopped. */
const FORGOTTEN_AFTER_MS = 60_000;

const claimSchema = z.strictObject({
  worker: z.string(),
  /** Renewals, so that others see that the worker lives. */
  beat: countSchema,
  process: z
    .strictObject({ boot: z.string(), namespace: z.string(), pid: countSchema, startedAt: z.string() })
    .optional(),
});

export interface Claims {
  /** What gives the shard back; undefined where another worker has it. */
  take(shard: number, signal: AbortSignal): Promise<(() => Promise<void>) | undefined>;
  /** Removes what workers that were killed have left. To be called when all shards are complete. */
  clear(signal: AbortSignal): Promise<void>;
}

/** No claims, for workers each of which has a part of its own. */
export const noClaims: Claims = {
  take: () => Promise.resolve(() => Promise.resolve()),
  clear: () => Promise.resolve(),
};

export interface ClaimSettings {
  readonly clock: Clock;
  readonly renewEveryMs?: number;
  readonly forgottenAfterMs?: number;
}

export function sharedClaims(
  store: ObjectStore,
  { clock, renewEveryMs = RENEW_EVERY_MS, forgottenAfterMs = FORGOTTEN_AFTER_MS }: ClaimSettings,
): Claims {
  /** Claims of others as they were first seen. */
  const seen = new Map<number, { readonly etag: string; readonly sinceMs: number }>();

  async function put(
    key: string,
    beat: number,
    condition: { readonly ifNoneMatch: true } | { readonly ifMatch: string },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      const content = { worker: processToken, beat, process: thisProcess() };
      return (await store.put(key, jsonBytes(content), { ...condition, signal })).etag;
    } catch (error) {
      // Removed or replaced by another worker.
      if (isLostCondition(error) || isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The etag of a claim that nobody stands behind any more. */
  async function forgotten(shard: number, key: string, signal: AbortSignal): Promise<string | undefined> {
    const found = await inspectJson(store, key, claimSchema, { signal });
    if (found === undefined) return undefined;
    const { etag, value } = found;
    if (value?.process !== undefined && hasEnded(value.process)) return etag;
    const before = seen.get(shard);
    if (before?.etag === etag) {
      return clock.monotonicMs() - before.sinceMs >= forgottenAfterMs ? etag : undefined;
    }
    seen.set(shard, { etag, sinceMs: clock.monotonicMs() });
    return undefined;
  }

  return {
    async take(shard, signal) {
      const key = `${CLAIMS}${String(shard).padStart(6, '0')}.json`;
      let etag = await put(key, 0, { ifNoneMatch: true }, signal);
      if (etag === undefined) {
        const old = await forgotten(shard, key, signal);
        etag = old && (await put(key, 0, { ifMatch: old }, signal));
      }
      if (etag === undefined) return undefined;
      seen.delete(shard);
      const renewing = new AbortController();
      const renewed = renew(key, etag, AbortSignal.any([signal, renewing.signal]));
      return async () => {
        renewing.abort();
        if (await renewed) await store.remove([key]);
      };
    },
    async clear(signal) {
      const keys: string[] = [];
      for await (const key of store.list(CLAIMS, { signal })) keys.push(key);
      await store.remove(keys, { signal });
    },
  };

  /** Renews a claim until the signal aborts; whether it is still ours then. */
  async function renew(key: string, first: string, signal: AbortSignal): Promise<boolean> {
    let etag = first;
    for (let beat = 1; ; beat++) {
      await pause(renewEveryMs, signal, { ref: false });
      if (signal.aborted) return true;
      try {
        const renewed = await put(key, beat, { ifMatch: etag }, signal);
        if (renewed === undefined) return false;
        etag = renewed;
      } catch (error) {
        // Where the store doesn't answer, what is written next will say so.
        if (!(error instanceof DiffusionError)) throw error;
      }
    }
  }
}

/** The shards that are claimed, whoever stands behind it. */
export async function claimedShards(store: ObjectStore): Promise<number[]> {
  const found: number[] = [];
  for await (const key of store.list(CLAIMS)) {
    const [, digits] = /(\d+)\.json$/.exec(key) ?? [];
    if (digits !== undefined) found.push(Number(digits));
  }
  return found;
}
