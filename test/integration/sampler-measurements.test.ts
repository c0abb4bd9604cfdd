/** Measurements of the sampler service: a checkpoint in a store and images in a file, through the real processes. */

import anyTest, { type TestFn } from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { callUnary, connectMeasure } from '../../shared/rpc/index.js';
import { errorReasons, type measureWire } from '../../shared/contract/index.js';
import type { MeasurementRequest, MeasurementTask, QualityTask } from '../../shared/measuring/index.js';
import {
  asked,
  create,
  ended,
  get,
  imagesFile,
  IMAGES,
  resultOf,
  stateOf,
  watched,
} from '../sampler-service/measurements.js';
import { startFixture, type SamplerFixture } from '../sampler-service/sampler-fixture.js';
import { commitTiny } from '../sampler-service/tiny-model.js';

interface Fixture {
  readonly sampler: SamplerFixture;
  readonly client: measureWire.MeasureServiceClient;
  readonly data: string;
}

const test = anyTest as TestFn<Fixture>;

test.before(async (t) => {
  const sampler = await startFixture((store) => commitTiny(store, { step: 7 }));
  const client = connectMeasure(`127.0.0.1:${sampler.service.port}`);
  t.context = { sampler, client, data: await imagesFile() };
});

test.after.always(async ({ context: { sampler, client } }) => {
  client.close();
  await sampler.close();
});

const quality = (extractor: string): QualityTask => ({
  ...{ kind: 'quality', sampler: { sampler: 'ddim', steps: 3 }, extractor },
});

test.serial('exposure: created, watched, and a result with all that is needed to compare it', async (t) => {
  const { client, data } = t.context;
  const created = await create(client, asked({ data }), 'once');
  t.is(stateOf(created), 'PENDING');
  t.is(created.spec?.checkpointStep, 7);
  const events = await watched(client, created.measurementId);
  t.is(events[0]?.event?.$case, 'snapshot');
  t.is(events.at(-1)?.event?.$case, 'terminal');
  t.is(new Set(events.map(({ position }) => position)).size >= 2, true);
  const measurement = await get(client, created.measurementId);
  t.is(stateOf(measurement), 'SUCCEEDED', measurement.message);
  t.false(measurement.fromCache);
  const { contract, results } = await resultOf(client, created.measurementId);
  t.like(contract, { kind: 'exposure', images: 20, seed: '3', steps: 4 });
  t.like(contract.model, { name: 'tiny', checkpointStep: 7, weights: 0.99, precision: 'float32' });
  t.regex(contract.model?.weightsSha256 ?? '', /^[0-9a-f]{64}$/);
  t.regex(contract.data.sha256, /^[0-9a-f]{64}$/);
  t.is(contract.data.images, IMAGES);
  t.true(contract.seconds > 0);
  t.deepEqual(
    results.map(({ measure }) => measure),
    ['energy_ratio', 'epsilon_norm'],
  );
  t.deepEqual(results[0]?.settings, { bands: 2 });
  t.true(results[0]?.figures.some(({ map }) => map === true));
  for (const { points } of results[0]?.figures[0]?.curves ?? [])
    t.true(points.length === 4 && points.every(({ value }) => Number.isFinite(value)));
  // The same request is the same measurement; the same inputs have the same result, which is not computed again.
  t.is((await create(client, asked({ data }), 'once')).measurementId, created.measurementId);
  // By default half of the data is measured, where that is less than 500: 20, as before.
  const again = await ended(client, (await create(client, asked({ data, images: 0 }))).measurementId);
  t.true(again.fromCache);
  t.deepEqual((await resultOf(client, again.measurementId)).results, results);
});

test.serial('likelihood: bits per dimension, a term for each timestep', async (t) => {
  const { client, data } = t.context;
  const spec = asked({ images: 3, data, task: { kind: 'likelihood' } });
  const measurement = await ended(client, (await create(client, spec)).measurementId);
  t.is(stateOf(measurement), 'SUCCEEDED', measurement.message);
  const { results } = await resultOf(client, measurement.measurementId);
  const [total = NaN, prior = NaN] = results[0]?.findings.map(({ value }) => value) ?? [];
  const terms = results[0]?.figures[0]?.curves[0]?.points ?? [];
  t.is(terms.length, 60);
  const sum = terms.reduce((all, { value }) => all + value, prior);
  t.true(total > 0 && Math.abs(sum / total - 1) < 1e-9, `${sum} for ${total}`);
});

test.serial(
  'quality: samples of the model against a reference, with a warning where they are too few',
  async (t) => {
    const { client, data } = t.context;
    const spec = asked({ images: 24, data, task: quality('pixels') });
    const measurement = await ended(client, (await create(client, spec)).measurementId);
    t.is(stateOf(measurement), 'SUCCEEDED', measurement.message);
    const { contract, results } = await resultOf(client, measurement.measurementId);
    t.like(contract, { images: 24, extractor: { name: 'pixels', features: 192 } });
    t.like(results[0], { measure: 'quality', images: 24, steps: 3 });
    t.true(results[0]?.findings.some(({ name, value }) => name === 'FD-pixels' && value > 0));
    t.true(results[0]?.notes.some((note) => note.includes('covariance is singular')));
  },
);

test.serial('what can not be measured is refused by field, or fails with its reason', async (t) => {
  const { client, data } = t.context;
  const refused = (fields: Partial<MeasurementRequest>): Promise<DiffusionError> =>
    t.throwsAsync(create(client, asked(fields)), { instanceOf: DiffusionError });
  const fieldsOf = ({ violations }: DiffusionError) => violations.map(({ field }) => field);
  const none = await refused({ model: 'Tiny', images: 1e9, data: 'x', task: undefined });
  t.deepEqual(fieldsOf(none), ['spec.model', 'spec.images', 'spec.data', 'spec.exposure']);
  t.is((await refused({ model: 'nobody', data })).reason, 'MODEL_NOT_FOUND');
  t.is((await refused({ checkpointStep: 8, data })).reason, 'CHECKPOINT_NOT_FOUND');
  const wrong: MeasurementTask = {
    kind: 'exposure',
    sampler: { sampler: 'ancestral', steps: 61 },
    measures: ['fid', 'smoothness'],
    settings: { smoothness: { gamma: 0 } },
    resamples: 3,
  };
  t.deepEqual(fieldsOf(await refused({ data, task: wrong })), [
    'spec.exposure.measures[0].name',
    'spec.exposure.measures[0].settings',
    'spec.exposure.measures[1].settings',
    'spec.exposure.settings.steps',
    'spec.exposure.resamples',
  ]);
  const likelihood = await refused({ data, task: { kind: 'likelihood', steps: 1 } });
  t.deepEqual(fieldsOf(likelihood), ['spec.likelihood.steps']);
  const absent = await refused({ data: '/nowhere/images.npz' });
  t.is(absent.reason, 'DATASET_NOT_FOUND');
  t.deepEqual(fieldsOf(absent), ['spec.data']);
  t.deepEqual(fieldsOf(await refused({ data, task: quality('fid') })), ['spec.quality.extractor']);
  t.is((await refused({ data, task: quality('/nowhere.pb') })).reason, 'EXTRACTOR_NOT_FOUND');
  // What only the files' content shows.
  const failed = async (fields: Partial<MeasurementRequest>) =>
    ended(client, (await create(client, asked(fields))).measurementId);
  const other = await failed({ data: await imagesFile(20, 4), task: quality('pixels') });
  t.is(stateOf(other), 'FAILED');
  t.regex(other.message, /wanted a reference of 8x8/);
  const noGraph = await failed({ data, task: quality(data) });
  t.is(errorReasons.read(noGraph.failureReason), 'GRAPH_INVALID');
  const tooMany = await failed({ images: 21, data });
  t.regex(tooMany.message, /images: wanted an integer from 8 to 20/);
  const without = await t.throwsAsync(resultOf(client, tooMany.measurementId), {
    instanceOf: DiffusionError,
  });
  t.is(without.reason, 'MEASUREMENT_WITHOUT_RESULT');
});

test.serial('a measurement is listed, cancelled and removed', async (t) => {
  const { client, data } = t.context;
  const long = asked({ data, task: { kind: 'exposure', sampler: { sampler: 'ancestral', steps: 60 } } });
  const { measurementId } = await create(client, long);
  const active = await t.throwsAsync(callUnary(client, client.deleteMeasurement, { measurementId }), {
    instanceOf: DiffusionError,
  });
  t.is(active.reason, 'MEASUREMENT_ACTIVE');
  await callUnary(client, client.cancelMeasurement, { measurementId });
  t.is(stateOf(await ended(client, measurementId)), 'CANCELLED');
  t.is(
    stateOf(
      (await callUnary(client, client.cancelMeasurement, { measurementId }))
        .measurement as measureWire.Measurement,
    ),
    'CANCELLED',
  );
  const list = { pageSize: 1, pageToken: '', states: [], modelPrefix: 'ti' };
  const first = await callUnary(client, client.listMeasurements, list);
  t.deepEqual(
    first.measurements.map(({ measurementId: id }) => id),
    [measurementId],
  );
  t.not(first.nextPageToken, '');
  const next = await callUnary(client, client.listMeasurements, { ...list, pageToken: first.nextPageToken });
  t.not(next.measurements[0]?.measurementId, measurementId);
  await callUnary(client, client.deleteMeasurement, { measurementId });
  const gone = await t.throwsAsync(get(client, measurementId), { instanceOf: DiffusionError });
  t.is(gone.reason, 'MEASUREMENT_NOT_FOUND');
});
