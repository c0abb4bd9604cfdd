/** The objects of a shard in the output: their names, their hashes, and that each is written once. */

import * as z from 'zod';

import { countSchema, DiffusionError } from '../foundation/index.js';
import { putIf, sha256Of, type CallOptions, type ObjectStore } from '../store/index.js';

export const SHARDS = 'shards/';

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

const objectSchema = z.strictObject({ key: z.string(), size: countSchema, sha256: sha256Schema });

/** What a shard consists of. */
export const manifestSchema = z.strictObject({
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
  return `${shardStem(shard)}.json`;
}

/** The shard of a manifest's key; undefined for any other key. */
export function shardOfKey(key: string): number | undefined {
  const [, digits] = /^shards\/(\d{6,10})\.json$/.exec(key) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** An image's name, so that the names of a batch sort as their indices do. */
export function imageName(index: number): string {
  return String(index).padStart(10, '0');
}

/** Writes an object where none stands; returns the bytes that stand there afterwards. */
export async function putOnce(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  { signal }: CallOptions,
): Promise<Uint8Array> {
  const isWritten = await putIf(store, key, bytes, { ifNoneMatch: true, signal });
  return isWritten ? bytes : (await store.get(key, { signal })).bytes;
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
