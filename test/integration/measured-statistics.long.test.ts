/** Statistics of references, through the real processes of the sampler. */

import test from 'ava';

import type { MeasurementTask } from '../../shared/measuring/index.js';
import { connectMeasure } from '../../shared/rpc/index.js';
import { asked, create, ended, imagesFile, resultOf, stateOf } from '../sampler-service/measurements.js';
import { startFixture } from '../sampler-service/sampler-fixture.js';
import { commitTiny } from '../sampler-service/tiny-model.js';

test('statistics of a reference are kept in the store, and are enough for its distance', async (t) => {
  const sampler = await startFixture((store) => commitTiny(store, { step: 7 }));
  const client = connectMeasure(`127.0.0.1:${sampler.service.port}`);
  t.teardown(async () => {
    client.close();
    await sampler.close();
  });
  const task: MeasurementTask = {
    ...{
      kind: 'quality',
      sampler: { sampler: 'ddim', steps: 3 },
      extractor: 'pixels',
      measures: ['frechet'],
    },
  };
  const distanceTo = async (reference: string, seed: bigint) => {
    const { measurementId } = await create(client, asked({ images: 30, seed, data: reference, task }));
    t.is(stateOf(await ended(client, measurementId)), 'SUCCEEDED');
    const { results } = await resultOf(client, measurementId);
    t.false(results[0]?.notes.some((note) => note.includes("doesn't say what extractor made them")));
    return results[0]?.findings[0]?.value ?? NaN;
  };
  const keys = async (): Promise<string[]> => {
    const found = [];
    for await (const key of sampler.store.list('measurement-statistics/')) found.push(key);
    return found;
  };
  const [one, other] = [await imagesFile(50), await imagesFile(60)];
  await distanceTo(one, 1n);
  const ofOne = (await keys())[0] ?? '';
  const distance = await distanceTo(other, 2n);
  const ofOther = (await keys()).find((key) => key !== ofOne) ?? '';
  // With those of the other reference in their place the distance is that to the other: nothing was extracted.
  await sampler.store.put(ofOne, (await sampler.store.get(ofOther)).bytes);
  t.is(await distanceTo(one, 2n), distance);
});
