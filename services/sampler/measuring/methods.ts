/** MeasureService's methods. */

import { createHash, randomUUID } from 'node:crypto';

import { tenancyOf, type Tenancy } from '../../../shared/access/index.js';
import {
  MEASUREMENT_STATES,
  measurementStates,
  measurementToWire,
  measureWire,
  pageFrom,
} from '../../../shared/contract/index.js';
import { DiffusionError, invalidArgument, violation, type Clock } from '../../../shared/foundation/index.js';
import { measurementKeys } from '../../../shared/models/index.js';
import { serverStream, unary, type CallContext, type HandlerOptions } from '../../../shared/rpc/index.js';
import { isLostCondition, type FileAccess } from '../../../shared/store/index.js';
import type { ModelCatalogue } from '../model-catalogue.js';
import type { RunningCalls } from '../running-calls.js';
import {
  hasEnded,
  stateOf,
  type MeasurementRecord,
  type MeasurementRecords,
  type RequestClaim,
  type StoredRecord,
} from './records.js';
import {
  checkFiles,
  readSpecification,
  resolveSpecification,
  type MeasurementLimits,
} from './specification.js';
import { inState, type MeasurementSupervisor } from './supervisor.js';
import { positionFromWire, watchMeasurement } from './watch.js';

export interface MeasureMethodsOptions extends HandlerOptions {
  readonly catalogue: ModelCatalogue;
  readonly records: MeasurementRecords;
  readonly supervisor: MeasurementSupervisor;
  readonly calls: RunningCalls;
  readonly clock: Clock;
  readonly limits: MeasurementLimits;
  /** Measurements that have not ended. */
  readonly maxWaiting: number;
  readonly access: FileAccess;
}

const RETRY_AFTER_MS = 30_000;
const ID_DIGITS = 8;
const MAX_STATES = 100;
const HIDES_ONE: readonly string[] = ['NOT_FOUND', 'DATA_LOSS'];

export function measureHandlers(options: MeasureMethodsOptions): measureWire.MeasureServiceServer {
  const { catalogue, records, supervisor, calls, clock, limits, access, maxWaiting } = options;

  /** A measurement that the caller may see, as it stands. */
  async function readVisible(id: string, { sees }: Tenancy): Promise<StoredRecord> {
    const stored = await records.read(id);
    if (!sees(stored.record.owner))
      throw new DiffusionError('MEASUREMENT_NOT_FOUND', 'there is no measurement of this id');
    return { ...stored, record: supervisor.find(id)?.record ?? stored.record };
  }

  async function create(
    { spec, requestId }: measureWire.CreateMeasurementRequest,
    context: CallContext,
  ): Promise<measureWire.CreateMeasurementResponse> {
    const { signal } = context;
    const tenancy = tenancyOf(context);
    const claim = claimOf(spec, requestId, tenancy.owner);
    const earlier = claim && (await records.findClaimed(claim));
    if (earlier !== undefined) {
      // Its creation may have been interrupted.
      const record = await records.create(earlier, claim);
      supervisor.wake();
      return { measurement: record.measurement };
    }
    const asked = readSpecification(spec, limits);
    const visible = catalogue.seenBy(tenancy);
    const checkpoint =
      asked.checkpointStep === undefined
        ? await visible.newestGood(asked.model, (newest) => newest, signal)
        : await visible.checkpoint(asked.model, asked.checkpointStep, signal);
    const resolved = resolveSpecification(asked, checkpoint, limits);
    await checkFiles(resolved, checkpoint.manifest.recipe, access);
    if ((await records.active()).length >= maxWaiting) {
      const text = `${maxWaiting} measurements run or wait already`;
      throw new DiffusionError('QUEUE_FULL', text, { retryAfterMs: RETRY_AFTER_MS });
    }
    const createTime = new Date(clock.wallMs());
    const measurement = measureWire.Measurement.fromPartial({
      measurementId: measurementKeys.newId(createTime.getTime(), randomUUID().slice(0, ID_DIGITS)),
      spec: measurementToWire(resolved),
      createTime,
      owner: tenancy.owner ?? '',
    });
    const record: MeasurementRecord = {
      measurement: inState(measurement, 'PENDING', 'waiting for its turn'),
      ...{ caller: context.caller, term: 0, number: 0 },
      ...(tenancy.owner !== undefined && { owner: tenancy.owner }),
      ...(claim !== undefined && { requestSha256: claim.requestSha256 }),
    };
    const created = await records.create(record, claim);
    supervisor.wake();
    return { measurement: created.measurement };
  }

  async function list(
    request: measureWire.ListMeasurementsRequest,
    context: CallContext,
  ): Promise<measureWire.ListMeasurementsResponse> {
    const states = statesOf(request);
    const { sees } = tenancyOf(context);
    const { modelPrefix } = request;
    async function read(id: string): Promise<measureWire.Measurement | undefined> {
      const stored = await records.read(id).catch((error: unknown) => {
        if (error instanceof DiffusionError && HIDES_ONE.includes(error.code)) return undefined;
        throw error;
      });
      if (stored === undefined || !sees(stored.record.owner)) return undefined;
      const record = supervisor.find(id)?.record ?? stored.record;
      const { measurement } = record;
      const matches =
        (states.length === 0 || states.includes(stateOf(record))) &&
        measurement.spec?.model.startsWith(modelPrefix) === true;
      return matches ? measurement : undefined;
    }
    const paging = { keyOf: (id: string) => id, keyPattern: /^\d{13}-[0-9a-f]{8}$/ };
    const content = { read, encode: measureWire.Measurement.encode };
    const { items, nextPageToken } = await pageFrom(request, records.ids, paging, content);
    return { measurements: items, nextPageToken };
  }

  async function cancel(
    { measurementId: id }: measureWire.CancelMeasurementRequest,
    context: CallContext,
  ): Promise<measureWire.CancelMeasurementResponse> {
    for (;;) {
      const { record, etag } = await readVisible(id, tenancyOf(context));
      if (hasEnded(record)) return { measurement: record.measurement };
      const live = supervisor.find(id);
      if (live !== undefined) {
        live.cancel();
        return { measurement: live.record.measurement };
      }
      try {
        const cancelled = cancelledRecord(record);
        await records.replace(cancelled, etag);
        if (hasEnded(cancelled)) await records.unmark(id);
        return { measurement: cancelled.measurement };
      } catch (error) {
        // It began or changed meanwhile.
        if (!isLostCondition(error)) throw error;
      }
    }
  }

  /** One that nobody runs ends at once; another sampler is asked to end the one that it runs. */
  function cancelledRecord(record: MeasurementRecord): MeasurementRecord {
    const { measurement, number } = record;
    if (record.lease !== undefined) return { ...record, number: number + 1, isCancelling: true };
    const endTime = new Date(clock.wallMs());
    return {
      ...record,
      number: number + 1,
      measurement: { ...inState(measurement, 'CANCELLED', 'cancelled'), endTime },
    };
  }

  async function remove(
    { measurementId: id }: measureWire.DeleteMeasurementRequest,
    context: CallContext,
  ): Promise<measureWire.DeleteMeasurementResponse> {
    const { record } = await readVisible(id, tenancyOf(context));
    if (!hasEnded(record))
      throw new DiffusionError('MEASUREMENT_ACTIVE', 'the measurement has not ended; cancel it first');
    await records.remove(record);
    return {};
  }

  async function* watch(
    { measurementId: id, after }: measureWire.WatchMeasurementRequest,
    context: CallContext,
  ): AsyncGenerator<measureWire.WatchMeasurementResponse> {
    const position = positionFromWire(after);
    await readVisible(id, tenancyOf(context));
    const { signal, ended } = calls.begin(context.signal);
    try {
      yield* watchMeasurement(id, position, { records, supervisor }, signal);
    } finally {
      ended();
    }
  }

  async function* result(
    { measurementId: id }: measureWire.GetMeasurementResultRequest,
    context: CallContext,
  ): AsyncGenerator<measureWire.GetMeasurementResultResponse> {
    const { record } = await readVisible(id, tenancyOf(context));
    if (stateOf(record) !== 'SUCCEEDED') {
      const state = stateOf(record).toLowerCase();
      throw new DiffusionError('MEASUREMENT_WITHOUT_RESULT', `the measurement has no result: it is ${state}`);
    }
    yield* await records.result(id);
  }

  return {
    createMeasurement: unary(create, options),
    getMeasurement: unary(async ({ measurementId }: measureWire.GetMeasurementRequest, context) => {
      const { record } = await readVisible(measurementId, tenancyOf(context));
      return { measurement: record.measurement };
    }, options),
    listMeasurements: unary(list, options),
    cancelMeasurement: unary(cancel, options),
    deleteMeasurement: unary(remove, options),
    watchMeasurement: serverStream(watch, options),
    getMeasurementResult: serverStream(result, options),
  };
}

/** @throws DiffusionError INVALID_ARGUMENT naming `states`. */
function statesOf({ states }: measureWire.ListMeasurementsRequest): string[] {
  if (states.length > MAX_STATES)
    throw invalidArgument([violation('states', `at most ${MAX_STATES} states`, states.length)]);
  const read = states.map((state) => measurementStates.read(state) ?? 'UNSPECIFIED');
  const found = read.flatMap((state, i) =>
    (MEASUREMENT_STATES as readonly string[]).includes(state)
      ? []
      : [violation(`states[${i}]`, `one of ${MEASUREMENT_STATES.join(', ')}`, state)],
  );
  if (found.length > 0) throw invalidArgument(found);
  return read;
}

/** @throws DiffusionError INVALID_ARGUMENT naming `request_id`. */
function claimOf(
  spec: measureWire.MeasurementSpec | undefined,
  requestId: string,
  owner: string | undefined,
): RequestClaim | undefined {
  if (!/^[\x20-\x7e]{0,64}$/.test(requestId))
    throw invalidArgument([violation('request_id', 'up to 64 printable ASCII characters', requestId)]);
  if (requestId === '') return undefined;
  const body = measureWire.CreateMeasurementRequest.encode({ spec, requestId }).finish();
  return {
    // A request_id holds no line break.
    requestSha256: sha256(owner === undefined ? requestId : `${requestId}\n${owner}`),
    bodySha256: sha256(body),
  };
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
