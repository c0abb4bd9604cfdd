/** What measuring does with a request, whatever is measured. */
import test from 'ava';
import { DiffusionError } from '../../shared/foundation/index.js';
import { measureExposure, MEASURES, type MeasureRequest } from '../../shared/exposure/index.js';
import { request } from './models.js';

const few: Partial<MeasureRequest> = {
  images: 20,
  settings: {
    chain_length: { lengths: 2 },
    prediction_error: { images: 20, timesteps: 2 },
    smoothness: { timesteps: 2 },
    lambda_sweep: { count: 3 },
  },
  resamples: 30,
};

async function violations(more: Partial<MeasureRequest>): Promise<string[]> {
  const error: unknown = await measureExposure(request({ ...few, ...more })).catch(
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DiffusionError)) return [];
  return error.violations.map(({ field, description }) => `${field}: ${description}`);
}

test('results name what they are of, are plain data, and do not depend on how many images are in work', async (t) => {
  const results = await measureExposure(request(few));
  t.deepEqual(
    results.map(({ measure }) => measure),
    MEASURES.map(({ name }) => name),
  );
  for (const { images, seed, steps, sampler, level, figures } of results) {
    t.like({ images, seed, steps, level }, { images: 20, seed: '4', steps: 8, level: 0.95 });
    t.is(sampler.sampler, 'ancestral');
    t.true(
      figures.every(({ curves }) =>
        curves.every(({ points }) => points.every(({ value }) => Number.isFinite(value))),
      ),
    );
  }
  t.deepEqual(JSON.parse(JSON.stringify(results)), results);
  t.deepEqual(await measureExposure(request({ ...few, width: 1 })), results);
});

test('every request that can not be met names its fields', async (t) => {
  const of501 = 'an integer from 8 to 500: half of the 1000 images are compared with the other half';
  t.deepEqual(await violations({ images: 501 }), [`images: wanted ${of501}; got 501`]);
  t.deepEqual(await violations({ images: 7 }), [`images: wanted ${of501}; got 7`]);
  const data = { length: 15, image: () => Promise.resolve(new Float32Array(16)) };
  t.deepEqual(await violations({ data }), ['images: wanted a data set of 16 images or more; got 15']);
  const [unknown = ''] = await violations({ measures: ['delta', 'fid'] });
  t.regex(unknown, /^measures\[1\]: wanted one of energy_ratio, .*; got "fid"$/);
  t.deepEqual(await violations({ settings: { smoothness: { gamma: 0, colour: 3 } } }), [
    'settings.smoothness.colour: wanted a setting: one of gamma, images, timesteps; got 3',
    'settings.smoothness.gamma: wanted a number from 0.001 to 1; got 0',
  ]);
  t.regex((await violations({ settings: { fid: {} } }))[0] ?? '', /^settings\.fid: wanted a measure/);
  t.regex((await violations({ sampler: { sampler: 'ancestral', steps: 1001 } }))[0] ?? '', /^steps: wanted/);
});

test('progress counts images, and an abort ends it with its reason', async (t) => {
  const seen: string[] = [];
  const onProgress: MeasureRequest['onProgress'] = ({ measures, done, total }) => {
    seen.push(`${measures.join()} ${done}/${total}`);
  };
  await measureExposure(request({ ...few, measures: ['spectrum', 'chain_length'], onProgress }));
  t.is(seen[0], 'spectrum 1/20');
  t.is(seen.at(-1), 'chain_length 40/40');
  const stop = new AbortController();
  const stopping: MeasureRequest['onProgress'] = () => {
    stop.abort();
  };
  const stopped = measureExposure(request({ ...few, onProgress: stopping, signal: stop.signal }));
  t.is((await t.throwsAsync(stopped, { instanceOf: DiffusionError })).code, 'CANCELLED');
});

test('a network that fails is reported as it failed', async (t) => {
  const { model } = request();
  const failing = { ...model, predict: () => Promise.reject(new Error('the engine has gone')) };
  await t.throwsAsync(measureExposure(request({ ...few, model: failing })), {
    message: 'the engine has gone',
  });
});
