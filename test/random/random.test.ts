import test from 'ava';
import fc from 'fast-check';
import {
  deriveKey,
  gaussian,
  permutation,
  philox4x32,
  randomStream,
  seedPair,
} from '../../shared/random/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import type { Counter, RandomKey } from '../../shared/random/index.js';

const ALL_ONES = 0xffffffff;
const key = deriveKey(1n, 'test');

function meanAndVariance(values: ArrayLike<number>): [number, number] {
  const list = Array.from(values);
  const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
  return [mean, list.reduce((sum, value) => sum + (value - mean) ** 2, 0) / list.length];
}

// The lines "philox4x32 10" of Random123's kat_vectors.
const KNOWN_ANSWERS: readonly (readonly [Counter, RandomKey, Counter])[] = [
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [ALL_ONES, ALL_ONES, ALL_ONES, ALL_ONES],
    [ALL_ONES, ALL_ONES],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
];

for (const [counter, knownKey, answer] of KNOWN_ANSWERS) {
  test(`Philox4x32-10 gives the published answer at counter ${counter.join(' ')}`, (t) => {
    t.deepEqual(philox4x32(counter, knownKey), [...answer]);
  });
}

test('Philox4x32-10 agrees with arithmetic on big integers', (t) => {
  const word = fc.integer({ min: 0, max: ALL_ONES });
  fc.assert(
    fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, anyKey) => {
      t.deepEqual(philox4x32(counter, anyKey), philoxByBigint(counter, anyKey));
    }),
  );
  t.pass();
});

function philoxByBigint(counter: Counter, [key0, key1]: RandomKey): number[] {
  const mask = 0xffffffffn;
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  for (let round = 0n; round < 10n; round++) {
    const k0 = (BigInt(key0) + round * 0x9e3779b9n) & mask;
    const k1 = (BigInt(key1) + round * 0xbb67ae85n) & mask;
    const product0 = c0 * 0xd2511f53n;
    const product1 = c2 * 0xcd9e8d57n;
    [c0, c1, c2, c3] = [
      (product1 >> 32n) ^ c1 ^ k0,
      product1 & mask,
      (product0 >> 32n) ^ c3 ^ k1,
      product0 & mask,
    ];
  }
  return [c0, c1, c2, c3].map(Number);
}

test("the README's test vectors hold", (t) => {
  const first = deriveKey(0n, 'sampling-noise');
  t.deepEqual(first, [0xe00d4578, 0x3077eed5]);
  t.deepEqual(
    gaussian(first, [0, 0], 4),
    Float32Array.of(-0.5265663266181946, -1.069902777671814, 0.02978486381471157, 0.2550906240940094),
  );
  const last = deriveKey(2n ** 64n - 1n, 'sampling-noise');
  t.deepEqual(last, [0xbff23636, 0xb0c8ea0e]);
  t.deepEqual(
    gaussian(last, [7, 3], 4),
    Float32Array.of(1.1488349437713623, -1.0728181600570679, 1.4215017557144165, -0.19756370782852173),
  );
  t.deepEqual(seedPair(0n, 'sampling-noise', 5), [-1630877278, -512182121]);
  t.is(randomStream(first, [1, 2, 3]).uniform(), 0.12754652250871734);
  t.deepEqual([...permutation(first, [2], 8)], [3, 6, 4, 2, 5, 0, 1, 7]);
});

test('a seed that is not a uint64 is refused by name', (t) => {
  for (const seed of [-1n, 2n ** 64n]) {
    const error = t.throws(() => deriveKey(seed, 'test'), { instanceOf: DiffusionError });
    t.is(error.violations[0]?.field, 'seed');
  }
});

test('position words out of range are refused', (t) => {
  for (const position of [[-1], [1.5], [2 ** 32], [NaN], [0, 0, 0, 0]]) {
    t.throws(() => gaussian(key, position, 1), { instanceOf: DiffusionError });
    t.throws(() => randomStream(key, position), { instanceOf: DiffusionError });
  }
});

test('seed, purpose and every position word give noise of their own', (t) => {
  const draws = [
    gaussian(key, [0, 0, 0], 4),
    gaussian(deriveKey(2n, 'test'), [0, 0, 0], 4),
    gaussian(deriveKey(1n, 'other'), [0, 0, 0], 4),
    gaussian(key, [1, 0, 0], 4),
    gaussian(key, [0, 1, 0], 4),
    gaussian(key, [0, 0, 1], 4),
  ];
  t.is(new Set(draws.map(String)).size, draws.length);
});

test('a shorter gaussian result is a prefix of a longer one', (t) => {
  const long = gaussian(key, [3, 4], 101);
  for (const length of [0, 1, 2, 7, 100]) t.deepEqual(gaussian(key, [3, 4], length), long.slice(0, length));
});

test('gaussian numbers have the moments of a standard normal', (t) => {
  const values = gaussian(key, [5], 400_000);
  const [mean, variance] = meanAndVariance(values);
  const [, varianceOfSquares] = meanAndVariance(values.map((value) => value * value));
  t.true(Math.abs(mean) < 0.008, `mean ${mean}`);
  t.true(Math.abs(variance - 1) < 0.012, `variance ${variance}`);
  t.true(Math.abs(varianceOfSquares - 2) < 0.08, `variance of the squares ${varianceOfSquares}`);
});

test('gaussian numbers at neighbouring positions are uncorrelated', (t) => {
  const here = gaussian(key, [0, 0], 200_000);
  const next = gaussian(key, [0, 1], 200_000);
  const covariance = here.reduce((sum, value, i) => sum + value * (next[i] ?? 0), 0) / here.length;
  t.true(Math.abs(covariance) < 0.012, `covariance ${covariance}`);
});

test('uniform numbers lie in [0, 1) with the moments of a uniform', (t) => {
  const stream = randomStream(key, [9]);
  const values = Array.from({ length: 200_000 }, () => stream.uniform());
  t.true(values.every((value) => value >= 0 && value < 1));
  const [mean, variance] = meanAndVariance(values);
  t.true(Math.abs(mean - 1 / 2) < 0.004);
  t.true(Math.abs(variance - 1 / 12) < 0.001);
});

test('integers are uniform over a bound that divides no power of two', (t) => {
  // With this bound a third of all words is drawn again: a plain remainder would favour the lower half 2 to 1.
  const bound = 3 * 2 ** 30;
  const stream = randomStream(key, [10]);
  const draws = Array.from({ length: 60_000 }, () => stream.integer(bound));
  t.true(draws.every((draw) => Number.isInteger(draw) && draw >= 0 && draw < bound));
  const counts = [0, 1, 2].map(
    (third) => draws.filter((draw) => Math.floor(draw / 2 ** 30) === third).length,
  );
  t.true(
    counts.every((count) => Math.abs(count - 20_000) < 500),
    counts.join(' '),
  );
});

test('integers take bounds from 1 to 2^32 only', (t) => {
  const stream = randomStream(key, [11]);
  t.is(stream.integer(1), 0);
  t.true(stream.integer(2 ** 32) < 2 ** 32);
  for (const bound of [0, -1, 1.5, NaN, 2 ** 32 + 1]) {
    t.throws(() => stream.integer(bound), { instanceOf: DiffusionError });
  }
});

test('a permutation holds each index once', (t) => {
  fc.assert(
    fc.property(fc.nat(500), fc.nat(100), (length, epoch) => {
      const sorted = permutation(key, [epoch], length).sort();
      t.true(sorted.every((value, i) => value === i));
      t.is(sorted.length, length);
    }),
  );
});

test('the permutations of three are equally likely', (t) => {
  const counts = new Map<string, number>();
  for (let epoch = 0; epoch < 12_000; epoch++) {
    const order = permutation(key, [epoch], 3).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  t.is(counts.size, 6);
  for (const [order, count] of counts) t.true(Math.abs(count - 2000) < 200, `${order}: ${count}`);
});

test('seed pairs are int32 and differ from step to step', (t) => {
  const pairs = Array.from({ length: 100 }, (_, step) => seedPair(3n, 'training-noise', step));
  t.true(pairs.flat().every((word) => word === (word | 0)));
  t.is(new Set(pairs.map(String)).size, pairs.length);
});
