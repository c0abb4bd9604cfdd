/** Small JSON objects in a store, checked on the way in. */

import type { z } from 'zod';
import { DiffusionError, describeValue } from '../foundation/index.js';
import type { CallOptions, ObjectStore } from '../store/index.js';
import { isNotFound } from '../store/index.js';

const MAX_BYTES = 64 * 1024;

export interface StoredJson<Value> {
  readonly value: Value;
  readonly bytes: Uint8Array;
  readonly etag: string;
}

/** An object that may be damaged: `damage` says how, and then there is no value. */
export type FoundJson<Value> =
  | (StoredJson<Value> & { readonly damage?: undefined })
  | (Omit<StoredJson<Value>, 'value'> & { readonly value?: undefined; readonly damage: DiffusionError });

export interface JsonOptions extends CallOptions {
  /** Default: 64 KiB. */
  readonly maxBytes?: number;
}

export function jsonBytes(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

/**
 * The object under a key as its schema has it, or undefined where there is none.
 *
 * @throws DATA_LOSS: reason OBJECT_INVALID where the object is not what its schema wants, OBJECT_TOO_LARGE.
 */
export async function findJson<Schema extends z.ZodType>(
  store: ObjectStore,
  key: string,
  schema: Schema,
  options: JsonOptions = {},
): Promise<StoredJson<z.infer<Schema>> | undefined> {
  const found = await inspectJson(store, key, schema, options);
  if (found?.damage !== undefined) throw found.damage;
  return found;
}

/**
 * As `findJson`, for callers that may replace a damaged object. What is too large isn't read, so that it can't be replaced.
 *
 * @throws DATA_LOSS (reason OBJECT_TOO_LARGE).
 */
export async function inspectJson<Schema extends z.ZodType>(
  store: ObjectStore,
  key: string,
  schema: Schema,
  { signal, maxBytes = MAX_BYTES }: JsonOptions = {},
): Promise<FoundJson<z.infer<Schema>> | undefined> {
  const stored = await store.get(key, { signal, maxBytes }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (stored === undefined) return undefined;
  try {
    return { ...stored, value: schema.parse(JSON.parse(Buffer.from(stored.bytes).toString('utf8'))) };
  } catch (cause) {
    const text = `${describeValue(key)} is damaged: wanted JSON with the expected fields`;
    return { ...stored, damage: new DiffusionError('OBJECT_INVALID', text, { cause }) };
  }
}
