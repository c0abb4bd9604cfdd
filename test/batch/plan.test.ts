import test from 'ava';

import {
  checkPlan,
  classOf,
  planBytes,
  planDifferences,
  planSha256,
  shardRange,
  shardsOf,
  storedPlanSchema,
  type BatchPlan,
} from '../../shared/batch/plan.js';
import { samplingWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';

export const PLAN: BatchPlan = {
  formatVersion: 1,
  model: 'tiny',
  checkpoint: { step: 5, manifestSha256: 'a'.repeat(64) },
  weights: 0.9999,
  settings: samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 80 } }),
  seed: '18446744073709551615',
  firstIndex: 10,
  count: 23,
  classes: [],
  shardSize: 5,
  format: 'webdataset',
  image: { width: 8, height: 8, channels: 3 },
};

test('a plan comes back from its bytes, with the same hash', (t) => {
  const stored = storedPlanSchema.parse(JSON.parse(Buffer.from(planBytes(PLAN)).toString()));
  t.deepEqual(stored, { plan: PLAN, sha256: planSha256(PLAN) });
  t.deepEqual(planBytes(stored.plan), planBytes(PLAN));
  // The order in which its fields were given changes nothing.
  t.is(planSha256(Object.fromEntries(Object.entries(PLAN).reverse()) as unknown as BatchPlan), stored.sha256);
});

test('a stored plan whose hash is another one is refused', (t) => {
  const stored = JSON.parse(Buffer.from(planBytes(PLAN)).toString()) as { plan: { count: number } };
  stored.plan.count += 1;
  t.false(storedPlanSchema.safeParse(stored).success);
});

test('the differences between plans name each field with both values', (t) => {
  const settings = samplingWire.SamplerSettings.create({
    timesteps: { $case: 'steps', value: 50 },
    eta: 0.5,
  });
  t.deepEqual(planDifferences(PLAN, { ...PLAN, settings, count: 24 }), [
    'settings.steps: the output has 80; asked for 50',
    'count: the output has 23; asked for 24',
    'settings.eta: the output has none; asked for 0.5',
  ]);
  t.deepEqual(planDifferences(PLAN, { ...PLAN }), []);
});

test('shards cover all images once, and the parts of a scheduler all shards', (t) => {
  const ranges = shardsOf(PLAN).map((shard) => shardRange(PLAN, shard));
  t.deepEqual(
    ranges.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i)),
    Array.from({ length: 23 }, (_, i) => 10 + i),
  );
  t.is(ranges.at(-1)?.count, 3);
  const parts = [0, 1, 2].map((index) => shardsOf(PLAN, { index, of: 3 }));
  t.deepEqual(parts, [[0, 3], [1, 4], [2]]);
  t.deepEqual(shardsOf(PLAN, { index: 7, of: 8 }), []);
});

test('images take the classes in turn, by their indices', (t) => {
  const plan = { ...PLAN, classes: [3, 1] };
  t.deepEqual(
    [10, 11, 12].map((index) => classOf(plan, index)),
    [3, 1, 3],
  );
  t.is(classOf(PLAN, 10), undefined);
});

test('a shard that would be too large for memory is refused, and so are indices past 32 bits', (t) => {
  const large = { ...PLAN, count: 5000, shardSize: 4096, image: { width: 512, height: 512, channels: 3 } };
  const error = t.throws(
    () => {
      checkPlan(large);
    },
    { instanceOf: DiffusionError },
  );
  t.is(error.violations[0]?.description, 'wanted at most 341 images of 512x512; got 4096');
  t.notThrows(() => {
    checkPlan({ ...large, shardSize: 341 });
  });
  const past = t.throws(
    () => {
      checkPlan({ ...PLAN, firstIndex: 2 ** 32 - 1, count: 2 });
    },
    {
      instanceOf: DiffusionError,
    },
  );
  t.is(past.violations[0]?.field, 'count');
});
