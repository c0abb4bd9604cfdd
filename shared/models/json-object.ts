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

export function jsonBytes(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

/**
 * The object under a key as its schema has it, or undefined where there is none.
 *
 * @throws DATA_LOSS (reason OBJECT_INVALID) where the object is not what its schema wants.
 */
export async function findJson<Schema extends z.ZodType>(
  store: ObjectStore,
  key: string,
  schema: Schema,
  { signal }: CallOptions = {},
): Promise<StoredJson<z.infer<Schema>> | undefined> {
  const stored = await store.get(key, { signal, maxBytes: MAX_BYTES }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  return stored && { ...stored, value: parse(key, stored.bytes, schema) };
}

function parse<Schema extends z.ZodType>(key: string, bytes: Uint8Array, schema: Schema): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    throw new DiffusionError(
      'OBJECT_INVALID',
      `${describeValue(key)} is damaged: wanted JSON with the fields of its kind`,
      {
        cause: error,
      },
    );
  }
}
