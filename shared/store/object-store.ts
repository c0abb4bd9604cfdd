/** What every store promises: small and large objects under keys, with conditional writes. */

export interface CallOptions {
  /** Ends the call with CANCELLED, or DEADLINE_EXCEEDED where the signal is a timeout. */
  readonly signal?: AbortSignal | undefined;
}

export interface GetOptions extends CallOptions {
  /** A larger object is refused before it is read. Default: no limit. */
  readonly maxBytes?: number | undefined;
}

export interface ListOptions extends CallOptions {
  /** Only keys behind this one are listed; what is before costs nothing. */
  readonly after?: string | undefined;
}

/**
 * At most one of the two conditions; without one the put replaces whatever stands. A key is written either always under
 * conditions or never: a plain put does not wait for a conditional one that is under way. Where two writers race, the bytes
 * of each must be its own: a put whose answer was lost finds out by them whether it was carried out.
 */
export interface PutOptions extends CallOptions {
  /** Write only where nothing stands. */
  readonly ifNoneMatch?: true | undefined;
  /** Write only where the object with this etag stands. */
  readonly ifMatch?: string | undefined;
}

export interface StoredObject {
  readonly bytes: Uint8Array;
  /** Opaque; equal for equal bytes. */
  readonly etag: string;
}

/**
 * A store of objects. Writes are atomic and durable when the promise resolves; a read sees all of an object or nothing.
 *
 * Every call has a total limit, by the bytes that it moves. It may fail with UNAVAILABLE (try again after `retryAfterMs`), FAILED_PRECONDITION (a person must act:
 * credentials, bucket, permissions, clock), RESOURCE_EXHAUSTED (full) or INVALID_ARGUMENT (a key that is none).
 */
export interface ObjectStore {
  /** Where the store is, for people; holds no secret. */
  readonly description: string;
  /** @throws NOT_FOUND; DATA_LOSS (reason OBJECT_TOO_LARGE). */
  get(key: string, options?: GetOptions): Promise<StoredObject>;
  /** The object's size in bytes. @throws NOT_FOUND. */
  head(key: string, options?: CallOptions): Promise<{ readonly size: number }>;
  /** @throws ABORTED (reason PRECONDITION_FAILED) where a condition does not hold; nothing is written then. */
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<{ readonly etag: string }>;
  /** The keys under a prefix that is empty or ends with "/", sorted by their bytes, fetched page by page. */
  list(prefix: string, options?: ListOptions): AsyncIterable<string>;
  /** Removes objects in the order given; one that is missing counts as removed. */
  remove(keys: readonly string[], options?: CallOptions): Promise<void>;
  /**
   * Removes what writers that died have left unfinished: uploads in parts, temporary files. Nothing of this is ever an
   * object, and nothing is removed that a writer may still be at work on.
   *
   * @returns how much was removed.
   */
  tidy(options?: CallOptions): Promise<number>;
  /** Frees connections; no call may follow. */
  close(): Promise<void>;
}
