/** What a shard consists of. A shard whose manifest is there is complete: the manifest is written last. */

import * as z from 'zod';

import { countSchema, DiffusionError } from '../foundation/index.js';
import { findJson } from '../models/index.js';
import { isLostCondition, sha256Of, type CallOptions, type ObjectStore } from '../store/index.js';
import { classOf, planSha256, shardRange, type BatchPlan } from './plan.js';
import type { WrittenShard } from './shard-format.js';

export const SHARDS = 'shards/';
const MANIFEST = '.json';
/** Of a manifest; one image takes less than 256 bytes. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

const objectSchema = z.strictObject({ key: z.string(), size: countSchema, sha256: sha256Schema });

const manifestSchema = z.strictObject({
  /** The plan's hash. */
  plan: sha256Schema,
  shard: countSchema,
  objects: z.array(objectSchema),
  images: z.array(
    z.strictObject({
      index: countSchema,
      seed: z.string(),
      class: countSchema.optional(),
      /** Of the PNG. */
      sha256: sha256Schema,
    }),
  ),
});

export type ShardObject = z.infer<typeof objectSchema>;
export type ShardManifest = z.infer<typeof manifestSchema>;

/** The key with which those of a shard begin. */
export function shardStem(shard: number): string {
  return `${SHARDS}${String(shard).padStart(6, '0')}`;
}

export function manifestKey(shard: number): string {
  return shardStem(shard) + MANIFEST;
}

/** An image's name, so that the names of a batch sort as their indices do. */
export function imageName(index: number): string {
  return String(index).padStart(10, '0');
}

/** The shard of a manifest's key; undefined for any other key. */
export function shardOfKey(key: string): number | undefined {
  const [, digits] = /^shards\/(\d{6,10})\.json$/.exec(key) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Writes a shard's manifest; one that stands there already stays. */
export async function writeManifest(
  store: ObjectStore,
  plan: BatchPlan,
  shard: number,
  { objects, images }: WrittenShard,
  { signal }: CallOptions,
): Promise<void> {
  const manifest: ShardManifest = {
    plan: planSha256(plan),
    shard,
    objects: [...objects],
    images: await Promise.all(
      images.map(async ({ index, bytes }) => {
        const label = classOf(plan, index);
        return {
          index,
          seed: plan.seed,
          ...(label !== undefined && { class: label }),
          sha256: await sha256Of(bytes),
        };
      }),
    ),
  };
  const bytes = Buffer.from(`${JSON.stringify(manifest)}\n`);
  await putOnce(store, manifestKey(shard), bytes, { signal });
}

/**
 * Undefined where the shard isn't complete yet.
 *
 * @throws DiffusionError DATA_LOSS where it is damaged (OBJECT_INVALID), or isn't of this plan (BATCH_DAMAGED).
 */
export async function readManifest(
  store: ObjectStore,
  plan: BatchPlan,
  shard: number,
  { signal }: CallOptions,
): Promise<ShardManifest | undefined> {
  const options = { signal, maxBytes: MAX_MANIFEST_BYTES };
  const manifest = (await findJson(store, manifestKey(shard), manifestSchema, options))?.value;
  if (manifest === undefined) return undefined;
  const { first, count } = shardRange(plan, shard);
  const isOurs =
    manifest.plan === planSha256(plan) &&
    manifest.shard === shard &&
    manifest.images.length === count &&
    manifest.images.every(({ index, seed }, i) => index === first + i && seed === plan.seed) &&
    manifest.objects.every(({ key }) => key.startsWith(shardStem(shard)));
  if (!isOurs) throw damaged(manifestKey(shard), 'the images of this plan', 'others');
  return manifest;
}

/** Writes an object where none stands; returns the bytes that stand there afterwards. */
export async function putOnce(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  { signal }: CallOptions,
): Promise<Uint8Array> {
  try {
    await store.put(key, bytes, { ifNoneMatch: true, signal });
    return bytes;
  } catch (error) {
    if (!isLostCondition(error)) throw error;
    return (await store.get(key, { signal })).bytes;
  }
}

/** The bytes of an object. @throws DiffusionError DATA_LOSS (reason BATCH_DAMAGED) where they aren't the manifest's. */
export async function readObject(
  store: ObjectStore,
  { key, size, sha256 }: ShardObject,
  { signal }: CallOptions,
): Promise<Uint8Array> {
  const { bytes } = await store.get(key, { signal, maxBytes: size });
  const found = await sha256Of(bytes);
  if (found !== sha256) throw damaged(key, `bytes with sha256 ${sha256}`, found);
  return bytes;
}

export async function shardObject(key: string, bytes: Uint8Array): Promise<ShardObject> {
  return { key, size: bytes.length, sha256: await sha256Of(bytes) };
}

export function damaged(key: string, wanted: string, got: string): DiffusionError {
  return new DiffusionError('BATCH_DAMAGED', `${key}: wanted ${wanted}; got ${got}`);
}
