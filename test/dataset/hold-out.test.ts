/** Images kept apart from training. */
import test from 'ava';
import fc from 'fast-check';
import { holdOut } from '../../shared/dataset/index.js';
import type { Dataset } from '../../shared/dataset/index.js';
import { indicesIn, rampDataset } from './ramp.js';

async function indicesOf(dataset: Dataset): Promise<number[]> {
  return indicesIn(await dataset.read(Array.from({ length: dataset.length }, (_, place) => place)));
}

const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

test('the training images and the held-out images together are all images, each once', async (t) => {
  // 25 images: the ramp's bytes end at 255.
  const lengths = fc.integer({ min: 1, max: 25 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 0, max: 5 }), async (length, count) => {
      const { training, heldOut } = holdOut(rampDataset(length), count);
      t.is(heldOut.length, Math.min(count, Math.floor(length / 10)));
      const [trained, apart] = [await indicesOf(training), await indicesOf(heldOut)];
      t.deepEqual(
        ascending([...trained, ...apart]),
        Array.from({ length }, (_, n) => n),
      );
      t.deepEqual(trained, ascending(trained));
    }),
  );
});

test('the data set alone decides what is held out, and a larger count holds out the same and more', async (t) => {
  const heldOut = (sha256: string, count: number): Promise<number[]> =>
    indicesOf(holdOut(rampDataset(25, true, sha256), count).heldOut);
  const [one, two] = [await heldOut('a', 1), await heldOut('a', 2)];
  t.deepEqual(two.slice(0, 1), one);
  const ofOthers = await Promise.all(['b', 'c', 'd', 'e'].map((sha256) => heldOut(sha256, 2)));
  t.true(ofOthers.some((indices) => indices.join() !== two.join()));
});

test('labels stay with their images on both sides', async (t) => {
  const { training, heldOut } = holdOut(rampDataset(20), 2);
  for (const part of [training, heldOut]) {
    t.deepEqual(
      [...(part.labels ?? [])],
      (await indicesOf(part)).map((index) => index * 100),
    );
  }
  t.false('labels' in holdOut(rampDataset(20, false), 2).training);
});

test('with nothing held out the data set is the one that it was', (t) => {
  const dataset = rampDataset(9);
  t.is(holdOut(dataset, 64).training, dataset);
});
