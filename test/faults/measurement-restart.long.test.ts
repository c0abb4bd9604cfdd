/** A sampler is killed while it measures: the next one goes on with what was saved, to the result of an uninterrupted run. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import type { MeasureResult } from '../../shared/exposure/index.js';
import { callStream, connectMeasure } from '../../shared/rpc/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { asked, create, ended, imagesFile, resultOf, stateOf } from '../sampler-service/measurements.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { spawnService } from './spawn-service.js';

const IMAGES = 200;
const SAVED = 32;

const folder = await mkdtemp(join(tmpdir(), 'measurement-restart-'));
const request = asked({
  images: IMAGES,
  data: await imagesFile(60),
  task: { kind: 'quality', sampler: { sampler: 'ancestral', steps: 20 }, extractor: 'dct' },
});

test.after.always(() => rm(folder, { recursive: true, force: true }));

/** A sampler over a store, and features, of its own. */
async function sampler(name: string) {
  const [storeFolder, cache] = [join(folder, name, 'store'), join(folder, name, 'cache')];
  const environment = { IP_DIFFUSION_STORE: storeFolder, IP_DIFFUSION_CACHE: cache };
  const store = await openLocalStore({ folder: storeFolder });
  await commitTiny(store, { step: 7 }).catch(() => undefined);
  await store.close();
  const service = await spawnService('sampler', environment);
  const client = connectMeasure(service.address);
  return {
    client,
    kill: async () => {
      client.close();
      service.child.kill('SIGKILL');
      await service.exited;
    },
  };
}

async function uninterrupted(): Promise<readonly MeasureResult[]> {
  const { client, kill } = await sampler('uninterrupted');
  const measurement = await ended(client, (await create(client, request)).measurementId);
  const { results } = await resultOf(client, measurement.measurementId);
  await kill();
  return results;
}

test('images that were saved are not sampled again, and the result is that of an uninterrupted run', async (t) => {
  const first = await sampler('killed');
  const { measurementId } = await create(first.client, request);
  let position = '';
  for await (const response of callStream(first.client, first.client.watchMeasurement, {
    measurementId,
    after: '',
  })) {
    position = response.position;
    const { event } = response;
    if (event?.$case === 'progress' && event.value.stage === 'sampling' && event.value.done >= SAVED) break;
    t.not(event?.$case, 'terminal', 'it ended before it was killed');
  }
  await first.kill();
  const second = await sampler('killed');
  const sampled: number[] = [];
  for await (const { event } of callStream(second.client, second.client.watchMeasurement, {
    measurementId,
    after: position,
  }))
    if (event?.$case === 'progress' && event.value.stage === 'sampling')
      sampled.push(Number(event.value.done));
  const measurement = await ended(second.client, measurementId);
  t.is(stateOf(measurement), 'SUCCEEDED', measurement.message);
  t.true((sampled[0] ?? IMAGES) > SAVED / 2, `${sampled[0] ?? 'none'}`);
  const { results } = await resultOf(second.client, measurementId);
  await second.kill();
  t.deepEqual(results, await uninterrupted());
});
