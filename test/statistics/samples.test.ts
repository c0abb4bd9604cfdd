/** Bootstrap, spectra and distances between sets. */
import test from 'ava';
import { at } from '../../shared/foundation/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import {
  bandPower,
  bootstrap,
  cosineTransform,
  directions,
  energyDistance,
  meanOf,
  pairDistances,
  projections,
  radialBands,
  sortedWithOwners,
  squaredWasserstein,
  streamingBootstrap,
} from '../../shared/statistics/index.js';

const draw = (purpose: string, position: number, length: number) =>
  gaussian(deriveKey(3n, purpose), [position], length);

/** In how many of 200 samples an interval holds the truth. */
function coverage(interval: (sample: number) => { low: number; high: number }, truth: number): number {
  let held = 0;
  for (let sample = 0; sample < 200; sample++) {
    const { low, high } = interval(sample);
    held += Number(low <= truth && truth <= high);
  }
  return held / 200;
}

const weightedMean = (values: ArrayLike<number>, counts: ArrayLike<number>): number => {
  let [sum, total] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += at(values, i) * at(counts, i);
    total += at(counts, i);
  }
  return sum / total;
};

test('a bootstrap holds the true difference in 95 % of samples, paired or not, and is the same for the same seed', (t) => {
  const both = (sample: number) => {
    const x = draw('x', sample, 60);
    return [x, draw('y', sample, 60).map((value, i) => at(x, i) + 1 + 0.1 * value)] as const;
  };
  const difference = (x: ArrayLike<number>, y: ArrayLike<number>) => (a: Uint32Array, b: Uint32Array) =>
    weightedMean(y, b) - weightedMean(x, a);
  const width = { paired: 0, unpaired: 0 };
  const paired = (sample: number) => {
    const [x, y] = both(sample);
    const found = bootstrap([60], (counts = new Uint32Array()) => difference(x, y)(counts, counts), {
      seed: 5n,
    });
    width.paired += found.high - found.low;
    return found;
  };
  const unpaired = (sample: number) => {
    const [x, y] = both(sample);
    const statistic = difference(x, y);
    const found = bootstrap([60, 60], (a = new Uint32Array(), b = new Uint32Array()) => statistic(a, b), {
      seed: 5n,
    });
    width.unpaired += found.high - found.low;
    return found;
  };
  const share = coverage(paired, 1);
  t.true(share > 0.88 && share < 0.99, String(share));
  t.true(coverage(unpaired, 1) > 0.95);
  t.true(width.unpaired > 5 * width.paired, 'a pair that is taken together tells more');
  t.deepEqual(paired(3), paired(3));
});

test('a streaming bootstrap holds a ratio of means in 95 % of samples', (t) => {
  const interval = (sample: number) => {
    const [a, b] = [draw('a', sample, 80), draw('b', sample, 80)];
    const stream = streamingBootstrap(2, { seed: BigInt(sample) });
    a.forEach((value, i) => {
      stream.add([2 + value, 4 + at(b, i)]);
    });
    t.is(stream.count, 80);
    return stream.estimate(([x = NaN, y = NaN]) => x / y);
  };
  const share = coverage(interval, 0.5);
  t.true(share > 0.88 && share < 0.99, String(share));
  t.throws(() => {
    streamingBootstrap(2, { seed: 1n }).add([1]);
  });
});

test('the cosine transform keeps lengths, is undone by its inverse, and finds the frequency of a wave', (t) => {
  for (const [size, channels] of [
    [1, 1],
    [5, 3],
    [8, 1],
  ] as const) {
    const { forward, inverse } = cosineTransform(size, channels);
    const image = draw('image', size, size * size * channels);
    const coefficients = forward(image);
    const squares = (values: ArrayLike<number>) =>
      Array.from(values).reduce((sum, value) => sum + value * value, 0);
    t.true(Math.abs(squares(coefficients) / squares(image) - 1) < 1e-6);
    inverse(coefficients).forEach((value, i) => {
      t.true(Math.abs(value - at(image, i)) < 1e-6);
    });
  }
  const wave = Float32Array.from(
    { length: 64 },
    (_, i) =>
      Math.cos((Math.PI * (Math.floor(i / 8) + 0.5) * 3) / 8) * Math.cos((Math.PI * ((i % 8) + 0.5) * 2) / 8),
  );
  const found = cosineTransform(8, 1).forward(wave);
  t.is(found.indexOf(Math.max(...found)), 3 * 8 + 2);
  const bands = radialBands(8, 1, 8);
  const power = bandPower(bands, found);
  t.is(power.indexOf(Math.max(...power)), 3);
});

test('radial bands hold every frequency once, and none is empty', (t) => {
  for (const [size, channels, count] of [
    [8, 3, 8],
    [14, 1, 8],
    [32, 3, 16],
    [2, 1, 2],
  ] as const) {
    const { sizes, bandOf } = radialBands(size, channels, count);
    t.true(sizes.every((each) => each > 0));
    t.is(
      sizes.reduce((sum, each) => sum + each, 0),
      bandOf.length,
    );
  }
  t.throws(() => radialBands(8, 1, 9), { message: /^count: wanted an integer from 1 to 8/ });
});

const ones = (count: number) => new Uint32Array(count).fill(1);

test('the energy distance of equal distributions is 0 in the mean, and of others what is known', (t) => {
  const set = (purpose: string, shift: number) =>
    Array.from({ length: 300 }, (_, i) => draw(purpose, i, 2).map((value) => value + shift));
  const of = (x: Float32Array[], y: Float32Array[]) =>
    energyDistance(pairDistances(x, y), ones(x.length), ones(y.length));
  const equal = Array.from({ length: 6 }, (_, k) => of(set(`e${k}`, 0), set(`f${k}`, 0)));
  t.true(Math.abs(meanOf(equal)) < 0.02, String(equal));
  t.true(of(set('e', 0), set('f', 1)) > 0.3);
  // Of single points at a distance of d it is 2 d without the terms within, which n = 2 equal points have as 0.
  const points = (x: number) => [Float32Array.of(x), Float32Array.of(x)];
  t.true(Math.abs(of(points(0), points(1.5)) - 3) < 1e-6);
});

test('the Wasserstein distance of a shift is the shift, with counts as if elements came so often', (t) => {
  const values = draw('w', 0, 50);
  const x = sortedWithOwners(values);
  const shifted = sortedWithOwners(values.map((value) => value + 2));
  t.true(Math.abs(squaredWasserstein(x, shifted, ones(50), ones(50)) - 4) < 1e-5);
  const few = sortedWithOwners([3, 1]);
  const many = sortedWithOwners([1, 1, 3, 3, 3, 3]);
  t.true(Math.abs(squaredWasserstein(few, many, [2, 1], ones(6))) < 1e-12);
  t.true(Math.abs(squaredWasserstein(few, many, [1, 1], ones(6)) - 4 * (0.5 - 1 / 3)) < 1e-12);
});

test('directions have length 1, and a projection is a place along each', (t) => {
  const along = directions(4, 9, 7n);
  for (const direction of along) {
    const [own] = projections(direction, [direction]);
    t.true(Math.abs((own ?? NaN) - 1) < 1e-6);
  }
});
