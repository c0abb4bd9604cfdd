/** Kernel distance, neighbourhoods and Inception Score against what follows from their definitions. */
import test from 'ava';
import { openLinearAlgebra, type NativeLinearAlgebra } from '../../shared/engine/index.js';
import { deriveKey, gaussian, randomStream } from '../../shared/random/index.js';
import {
  inceptionScore,
  KERNEL_DISTANCE_DEFAULTS,
  kernelDistance,
  manifoldMeasures,
  rowsOf,
} from '../../shared/statistics/index.js';

let algebra: NativeLinearAlgebra;
test.before(async () => {
  algebra = await openLinearAlgebra();
});
test.after(() => {
  algebra.close();
});

const normal = (purpose: string, count: number, columns: number, shift = 0) =>
  rowsOf(
    gaussian(deriveKey(5n, purpose), [], count * columns).map((value) => value + shift),
    columns,
  );

test('the kernel distance of whole sets is the unbiased estimate of its definition', async (t) => {
  const [x, y] = [
    [
      [1, 2],
      [0, -1],
      [3, 1],
    ],
    [
      [1, 1],
      [2, 0],
      [-1, 1],
    ],
  ] as const;
  const k = (a: readonly number[], b: readonly number[]) =>
    ((a[0] ?? 0) * (b[0] ?? 0) * 0.5 + (a[1] ?? 0) * (b[1] ?? 0) * 0.5 + 1) ** 3;
  const within = (of: readonly (readonly number[])[]) =>
    of
      .flatMap((a, i) => of.flatMap((b, j) => (i === j ? [] : [k(a, b)])))
      .reduce((sum, each) => sum + each, 0) / 6;
  const across = x.flatMap((a) => y.map((b) => k(a, b))).reduce((sum, each) => sum + each, 0) / 9;
  const { distance } = await kernelDistance(
    rowsOf(Float32Array.from(x.flat()), 2),
    rowsOf(Float32Array.from(y.flat()), 2),
    algebra,
  );
  t.true(Math.abs(distance - (within(x) + within(y) - 2 * across)) < 1e-9);
});

test('the kernel distance is near 0 for one distribution, far for two, and repeats', async (t) => {
  const options = { ...KERNEL_DISTANCE_DEFAULTS, subsets: 10, subsetSize: 200 };
  const same = await kernelDistance(normal('a', 1000, 8), normal('b', 1000, 8), algebra, options);
  t.true(Math.abs(same.distance) < 4 * same.standardError, JSON.stringify(same));
  const apart = await kernelDistance(normal('a', 1000, 8), normal('b', 1000, 8, 0.5), algebra, options);
  t.true(apart.distance > 10 * apart.standardError, JSON.stringify(apart));
  t.deepEqual(await kernelDistance(normal('a', 1000, 8), normal('b', 1000, 8), algebra, options), same);
  const other = await kernelDistance(normal('a', 1000, 8), normal('b', 1000, 8), algebra, {
    ...options,
    seed: 1n,
  });
  t.not(other.distance, same.distance);
});

/** Points of small whole numbers, whose distances float16 holds exactly. */
function points(purpose: string, count: number, most: number, scale = 1) {
  const stream = randomStream(deriveKey(9n, purpose), []);
  const values = Float32Array.from({ length: count * 2 }, () => scale * stream.integer(most));
  const at = (i: number) => [values[2 * i] ?? 0, values[2 * i + 1] ?? 0] as const;
  return { rows: rowsOf(values, 2), count, at };
}

/** From the definitions, without blocks. */
function bruteForce(samples: ReturnType<typeof points>, reference: ReturnType<typeof points>) {
  const distance = (a: readonly [number, number], b: readonly [number, number]) =>
    (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;
  const radii = ({ count, at }: ReturnType<typeof points>, rank: number) =>
    Array.from({ length: count }, (_, i) => {
      const all = Float64Array.from({ length: count }, (__, j) => distance(at(i), at(j)));
      return all.sort()[rank] ?? 0;
    });
  const [r3, r5, s3] = [radii(reference, 3), radii(reference, 5), radii(samples, 3)];
  const [precise, recalled, covered] = [new Set<number>(), new Set<number>(), new Set<number>()];
  let inside = 0;
  for (let i = 0; i < reference.count; i++)
    for (let j = 0; j < samples.count; j++) {
      const d = distance(reference.at(i), samples.at(j));
      if (d <= (r3[i] ?? 0)) precise.add(j);
      if (d <= (s3[j] ?? 0)) recalled.add(i);
      if (d < (r5[i] ?? 0)) {
        covered.add(i);
        inside += 1;
      }
    }
  return {
    precision: precise.size / samples.count,
    recall: recalled.size / reference.count,
    density: inside / 5 / samples.count,
    coverage: covered.size / reference.count,
  };
}

for (const [what, samples, reference] of [
  ['of a few points', points('few', 12, 8), points('others', 9, 6)],
  ['over the edges of blocks', points('many', 2060, 32), points('more', 4100, 30)],
  ['too far apart for float16', points('far', 60, 8, 512), points('farther', 50, 6, 512)],
] as const) {
  test(`precision, recall, density and coverage ${what} follow their definitions`, async (t) => {
    const found = await manifoldMeasures(samples.rows, reference.rows, algebra);
    for (const [name, wanted] of Object.entries(bruteForce(samples, reference)))
      t.true(
        Math.abs(found[name as 'recall'].value - wanted) < 1e-12,
        `${name}: ${found[name as 'recall'].value}, ${wanted}`,
      );
  });
}

test('the Inception Score is 1 for one answer and the number of classes for all of them, by parts', async (t) => {
  const classes = 4;
  const oneHot = (labels: readonly number[]) =>
    Float32Array.from(
      labels.flatMap((label) => Array.from({ length: classes }, (_, i) => (i === label ? 1 : 0))),
    );
  const parts = (all: readonly (readonly (readonly number[])[])[]) =>
    all.map((part) => () => asynchronous(part.map(oneHot)));
  t.is((await inceptionScore(parts([[[1, 1], [1]]]), classes)).score, 1);
  const all = await inceptionScore(
    parts([
      [
        [0, 1],
        [2, 3],
      ],
    ]),
    classes,
  );
  t.true(Math.abs(all.score - classes) < 1e-12);
  t.true(all.standardError < 1e-6);
  const two = await inceptionScore(parts([[[0, 1, 2, 3]], [[2, 2]]]), classes);
  t.true(Math.abs(two.score - 2.5) < 1e-12);
});

test('the standard error of the Inception Score is its spread over sets of images', async (t) => {
  const [classes, count, sets] = [3, 300, 200];
  const probabilities = (set: number) => {
    const logits = gaussian(deriveKey(11n, `set ${set}`), [], count * classes);
    const powers = logits.map((value) => Math.exp(1.5 * value));
    return powers.map((power, at) => {
      const start = at - (at % classes);
      return power / powers.subarray(start, start + classes).reduce((sum, each) => sum + each, 0);
    });
  };
  const found = await Promise.all(
    Array.from({ length: sets }, (_, set) =>
      inceptionScore([() => asynchronous([probabilities(set)])], classes),
    ),
  );
  const mean = found.reduce((sum, { score }) => sum + score, 0) / sets;
  const spread = Math.sqrt(found.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / (sets - 1));
  const { standardError = NaN } = found[0] ?? {};
  t.true(standardError > 0.8 * spread && standardError < 1.25 * spread, `${standardError}, ${spread}`);
});

async function* asynchronous<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  for (const item of items) yield await Promise.resolve(item);
}
