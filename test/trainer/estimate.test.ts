import test from 'ava';

import type { DatasetManifest } from '../../shared/dataset/index.js';
import { resolveRecipe, unetConfig, type PartialRecipe } from '../../shared/recipe/index.js';
import { checkMemory, estimate, leastMemoryBytes } from '../../services/trainer/estimate.js';
import { networkCost } from '../../services/trainer/network-cost.js';
import { rateMeter } from '../../shared/training/rate-meter.js';

// 7,994,182 parameters; 116.7 GFLOP forward at batch 32 as counted by a profiler, attention and dense layers included.
const measured = resolveRecipe(
  {
    dataset: { source: { kind: 'twemoji' }, imageSize: 32 },
    architecture: {
      modelChannels: 64,
      numResBlocks: 2,
      channelMult: [1, 2, 2],
      attentionResolutions: [16, 8],
      resblockUpdown: true,
      numHeadChannels: 32,
    },
  },
  'measured',
);

test('convolutions are nearly all operations of a known network, and never more than all', (t) => {
  const share = (networkCost(unetConfig(measured)).forwardFlops * 32) / 116.7e9;
  t.true(share > 0.9 && share < 1, `${share}`);
});

test('a network costs the same with and without attention in the names of its levels', (t) => {
  const plain = resolveRecipe(
    { ...measured, architecture: { ...measured.architecture, attentionResolutions: [] } },
    'plain',
  );
  const difference =
    networkCost(unetConfig(measured)).forwardFlops - networkCost(unetConfig(plain)).forwardFlops;
  // Each attention layer at n pixels over c channels has 4 c^2 weights in its convolutions.
  const pixels = 5 * 16 ** 2 + 5 * 8 ** 2;
  t.is(difference, 2 * 4 * 128 ** 2 * pixels);
});

test('a network is refused only where the memory is less than its parameters need', (t) => {
  const least = leastMemoryBytes(measured);
  t.is(least, 5 * 4 * 7_994_182);
  t.notThrows(() => {
    checkMemory(measured, least);
  });
  t.throws(
    () => {
      checkMemory(measured, least - 1);
    },
    { message: /7994182 parameters/ },
  );
});

test('a gradient penalty adds to the estimates of time and memory', (t) => {
  const sizes = { minWidth: 32, minHeight: 32, maxWidth: 32, maxHeight: 32 };
  const dataset = {
    count: 100,
    sizes,
    skipped: [],
    classNames: [],
    sha256: '',
  } as unknown as DatasetManifest;
  const of = (gradientPenalty: PartialRecipe['gradientPenalty']) =>
    estimate(
      resolveRecipe(
        { ...measured, variant: undefined, gradientPenalty, training: { sampleEverySteps: 0 } },
        'm',
      ),
      dataset,
    );
  const none = of({ weight: 0 });
  const penalised = [of({ weight: 1 }), of({ weight: 1, estimator: 'finite_difference' })];
  for (const { duration, memoryBytes, checkpointBytes } of penalised) {
    t.true((duration?.seconds ?? 0n) > (none.duration?.seconds ?? 0n));
    t.true(memoryBytes > none.memoryBytes);
    t.is(checkpointBytes, none.checkpointBytes);
  }
});

test('a rate is known from the second step on and follows the latest steps [fault 115]', (t) => {
  const meter = rateMeter();
  t.is(meter.stepMs(), undefined);
  meter.tick(1000);
  t.is(meter.stepMs(), undefined);
  meter.tick(1000);
  t.is(meter.stepMs(), undefined, 'no time, no rate');
  meter.tick(1300);
  t.is(meter.stepMs(), 150);
  for (let i = 1; i <= 100; i++) meter.tick(1300 + 10 * i);
  t.is(meter.stepMs(), 10);
});
