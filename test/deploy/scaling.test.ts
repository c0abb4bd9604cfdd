/** The model of docs/scaling.md against the same arithmetic by hand. */
import test from 'ava';

import { imagesPerSecondOfOne, samplersFor, scaleOf } from '../../deploy/docs/scaling-model.js';

const near = (value: number, wanted: number): boolean => Math.abs(value - wanted) < 0.005 * wanted;

test('one sampler: 16 images in 50 passes of 179 ms', (t) => {
  t.true(near(imagesPerSecondOfOne(), 16 / 8.95));
  t.true(near(scaleOf(1).imagesPerDay, 154_458));
});

test('a million images a day are 11.57 a second, of 1.788 each', (t) => {
  t.is(samplersFor(1e6), 7);
  t.is(samplersFor(1), 1);
});

test('512 samplers: what the store and a rollout see', (t) => {
  const { imagesPerSecond, storeCallsPerSecond, loadSeconds, rolloutSeconds, samplesPerSecond } =
    scaleOf(512);
  t.true(near(imagesPerSecond, 915.3));
  t.true(near(storeCallsPerSecond[0], 3661));
  t.true(near(storeCallsPerSecond[1], 228.8));
  // 16.4 GB at 1.25 GB a second.
  t.true(near(loadSeconds, 3.4 + 13.1));
  t.true(near(rolloutSeconds[0], 512 * 48.4));
  t.true(near(rolloutSeconds[1], 8 * 48.4));
  t.true(near(samplesPerSecond, 9216));
});
