/**
 * Measurements in the store. What a measurement is and where it stands is one object, changed by compare-and-swap only: so a
 * sampler that has lost a measurement without noticing can't overwrite what the next one has written.
 */

import * as z from 'zod';

import { canonicalJson } from '../../../shared/checkpoint/index.js';
import { measureWire, measurementStates, type MeasurementState } from '../../../shared/contract/index.js';
import { countSchema, DiffusionError, positiveCountSchema } from '../../../shared/foundation/index.js';
import { findJson, measurementKeys, measurementOfKey } from '../../../shared/models/index.js';
import type { ProcessIdentity } from '../../../shared/processes/index.js';
import { putIf, isNotFound, type ObjectStore } from '../../../shared/store/index.js';

/** A sampler's lease on a measurement. */
const leaseSchema = z.object({
  /** Of the process that has it; no other process ever has this id. */
  holder: z.string(),
  /** One that isn't renewed for this long is over. */
  durationMs: positiveCountSchema,
  process: z
    .object({ boot: z.string(), namespace: z.string(), pid: countSchema, startedAt: z.string() })
    .exactOptional() satisfies z.ZodType<ProcessIdentity | undefined>,
});

export type Lease = Readonly<z.infer<typeof leaseSchema>>;

const recordSchema = z.object({
  measurement: z.unknown().transform((json) => measureWire.Measurement.fromJSON(json)),
  /** Who asked for it: its rows take turns with those of other callers. */
  caller: z.string(),
  owner: z.string().exactOptional(),
  requestSha256: z.string().exactOptional(),
  /** How often a sampler has begun it. */
  term: countSchema,
  /** Of its changes within the term: with the term, the position of its newest event. */
  number: countSchema,
  lease: leaseSchema.exactOptional(),
  /** Somebody has asked for its end. */
  isCancelling: z.literal(true).exactOptional(),
  inputsSha256: z.string().exactOptional(),
});

/** A measurement as it is kept. */
export type MeasurementRecord = Readonly<z.infer<typeof recordSchema>>;

export interface StoredRecord {
  readonly record: MeasurementRecord;
  readonly etag: string;
}

const claimSchema = z.object({ bodySha256: z.string(), record: recordSchema });
const inputsSchema = z.object({ measurement: z.string() });
/** A specification may have a long respacing text. */
const LARGE = { maxBytes: 1024 ** 2 };
/** Of a result, and of statistics: two covariances of 2,048 columns have 67 MB. */
const MAX_LARGE_BYTES = 256 * 1024 ** 2;
const ID_PATTERN = /^\d{13}-[0-9a-f]{8}$/;

const ENDED: ReadonlySet<MeasurementState | undefined> = new Set(['SUCCEEDED', 'FAILED', 'CANCELLED']);

export function stateOf({ measurement }: MeasurementRecord): MeasurementState {
  return measurementStates.read(measurement.state) ?? 'FAILED';
}

export function hasEnded(record: MeasurementRecord): boolean {
  return ENDED.has(stateOf(record));
}

export interface MeasurementRecords {
  /**
   * Makes a measurement, once for a request id even where an earlier try was interrupted.
   *
   * @param claim Hashes of the request_id and of what was asked.
   * @returns what stands in the store: what an earlier request made, where there was one.
   * @throws DiffusionError ALREADY_EXISTS (reason REQUEST_ID_REUSED).
   */
  create(record: MeasurementRecord, claim: RequestClaim | undefined): Promise<MeasurementRecord>;
  /** What an earlier request with this id made. @throws as `create`. */
  findClaimed(claim: RequestClaim): Promise<MeasurementRecord | undefined>;
  /** @throws DiffusionError MEASUREMENT_NOT_FOUND. */
  read(id: string): Promise<StoredRecord>;
  /** Writes the record where that stands which was read. @throws ABORTED (reason PRECONDITION_FAILED) where it doesn't. */
  replace(record: MeasurementRecord, etag: string): Promise<string>;
  remove(record: MeasurementRecord): Promise<void>;
  /** Ids, the newest first. */
  ids(after: string | undefined): AsyncIterable<string>;
  /** Ids of measurements that may not have ended, the oldest first. */
  active(): Promise<string[]>;
  /** Says that a measurement has ended. */
  unmark(id: string): Promise<void>;
  /** Keeps a result, and that it is the one of these inputs. */
  putResult(id: string, parts: readonly ResultPart[], inputsSha256: string): Promise<void>;
  /** @throws DiffusionError MEASUREMENT_WITHOUT_RESULT where there is none. */
  result(id: string): Promise<readonly ResultPart[]>;
  /** Statistics of a reference by a hash of its images and the extractor. */
  statistics(sha256: string): Promise<Uint8Array | undefined>;
  putStatistics(sha256: string, bytes: Uint8Array): Promise<void>;
  /** The result of an earlier measurement of the same inputs. */
  resultOf(inputsSha256: string): Promise<readonly ResultPart[] | undefined>;
}

export type ResultPart = measureWire.GetMeasurementResultResponse;

/** What makes a repeated request the same one. */
export interface RequestClaim {
  readonly requestSha256: string;
  readonly bodySha256: string;
}

export function measurementRecords(store: ObjectStore): MeasurementRecords {
  async function find(id: string): Promise<StoredRecord | undefined> {
    const found = await findJson(store, measurementKeys.of(id), recordSchema, LARGE);
    return found && { record: found.value, etag: found.etag };
  }

  async function findClaimed({
    requestSha256,
    bodySha256,
  }: RequestClaim): Promise<MeasurementRecord | undefined> {
    const claim = await findJson(store, measurementKeys.request(requestSha256), claimSchema, LARGE);
    if (claim === undefined || claim.value.bodySha256 === bodySha256) return claim?.value.record;
    const description =
      'wanted a different request_id for each specification; got one that was used with another one';
    throw new DiffusionError(
      'REQUEST_ID_REUSED',
      'the request_id was used before, with another specification',
      {
        violations: [{ field: 'request_id', description }],
      },
    );
  }

  async function result(id: string): Promise<readonly ResultPart[] | undefined> {
    const bytes = await bytesAt(measurementKeys.result(id));
    return bytes && measureWire.StoredMeasurementResult.decode(bytes).parts;
  }

  async function bytesAt(key: string): Promise<Uint8Array | undefined> {
    try {
      return (await store.get(key, { maxBytes: MAX_LARGE_BYTES })).bytes;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  return {
    findClaimed,
    create: async (record, claim) => {
      let winner = record;
      if (claim !== undefined) {
        const { requestSha256, bodySha256 } = claim;
        const claimed = { bodySha256, record: jsonOf(record) };
        const isFirst = await createJson(store, measurementKeys.request(requestSha256), claimed);
        if (!isFirst) winner = (await findClaimed(claim)) ?? record;
      }
      const id = winner.measurement.measurementId;
      await store.put(measurementKeys.activeOf(id), Buffer.from('{}'));
      await createJson(store, measurementKeys.of(id), jsonOf(winner));
      return (await find(id))?.record ?? winner;
    },
    read: async (id) => {
      const found = ID_PATTERN.test(id) ? await find(id) : undefined;
      if (found === undefined)
        throw new DiffusionError('MEASUREMENT_NOT_FOUND', 'there is no measurement of this id');
      return found;
    },
    replace: async (record, etag) => {
      const key = measurementKeys.of(record.measurement.measurementId);
      return (await store.put(key, bytesOf(jsonOf(record)), { ifMatch: etag })).etag;
    },
    remove: async ({ measurement: { measurementId: id }, requestSha256, inputsSha256 }) => {
      const keys = [measurementKeys.of(id), measurementKeys.result(id), measurementKeys.activeOf(id)];
      if (inputsSha256 !== undefined) {
        const key = measurementKeys.inputs(inputsSha256);
        const pointer = await findJson(store, key, inputsSchema);
        if (pointer?.value.measurement === id) keys.unshift(key);
      }
      if (requestSha256 !== undefined) keys.unshift(measurementKeys.request(requestSha256));
      await store.remove(keys);
    },
    ids: (after) => idsUnder(store, measurementKeys.all, after && measurementKeys.of(after)),
    active: async () => {
      const found: string[] = [];
      for await (const id of idsUnder(store, measurementKeys.active, undefined)) found.push(id);
      return found.reverse();
    },
    unmark: (id) => store.remove([measurementKeys.activeOf(id)]),
    putResult: async (id, parts, inputsSha256) => {
      const bytes = measureWire.StoredMeasurementResult.encode({ parts: [...parts] }).finish();
      await store.put(measurementKeys.result(id), bytes);
      await store.put(measurementKeys.inputs(inputsSha256), bytesOf({ measurement: id }));
    },
    result: async (id) => {
      const parts = await result(id);
      if (parts !== undefined) return parts;
      throw new DiffusionError('MEASUREMENT_WITHOUT_RESULT', 'the measurement has no result');
    },
    statistics: (sha256) => bytesAt(measurementKeys.statistics(sha256)),
    putStatistics: async (sha256, bytes) => {
      await store.put(measurementKeys.statistics(sha256), bytes);
    },
    resultOf: async (inputsSha256) => {
      const pointer = await findJson(store, measurementKeys.inputs(inputsSha256), inputsSchema);
      return pointer && result(pointer.value.measurement);
    },
  };
}

async function* idsUnder(
  store: ObjectStore,
  prefix: string,
  after: string | undefined,
): AsyncGenerator<string> {
  for await (const key of store.list(prefix, after === undefined ? {} : { after })) {
    const id = measurementOfKey(key);
    if (id !== undefined && ID_PATTERN.test(id)) yield id;
  }
}

function jsonOf({ measurement, ...rest }: MeasurementRecord): object {
  return { ...rest, measurement: measureWire.Measurement.toJSON(measurement) };
}

function bytesOf(value: object): Uint8Array {
  return Buffer.from(canonicalJson(value), 'utf8');
}

/** False where the object exists already. */
async function createJson(store: ObjectStore, key: string, value: object): Promise<boolean> {
  return putIf(store, key, bytesOf(value), { ifNoneMatch: true });
}
