/** What is timed on a machine with many cores, and where. */
import test from 'ava';

import { SMALL_32 } from '../bench/networks.js';
import { casesOf, tableOf } from './processor-jobs.js';
import { worksOf } from './timings.js';

const WORKS = worksOf([{ name: 'small', architecture: SMALL_32, trainBatch: 32, sampleBatch: 16 }]);
const upTo = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i);

test('each work has processors of its own group, the most threads come first, and those without cores are left out', (t) => {
  const groups = casesOf(WORKS, [1, 2, 4, 8, 16], upTo(8, 16));
  t.deepEqual(
    groups.map((group) => group.map(({ threads, on }) => [threads, ...on])),
    [
      ...WORKS.map(() => [[8, ...upTo(8, 16)]]),
      [
        [4, 16, 17, 18, 19],
        [4, 20, 21, 22, 23],
      ],
      [
        [4, 16, 17, 18, 19],
        [4, 20, 21, 22, 23],
      ],
      upTo(4).map((i) => [2, 16 + 2 * i, 17 + 2 * i]),
      upTo(4).map((i) => [1, 16 + i]),
    ],
  );
  t.deepEqual(
    groups.slice(0, 4).map(([each]) => each?.work),
    WORKS,
  );
});

test('the table has a line for each case, with the notes of those without times', (t) => {
  const cases = casesOf(WORKS.slice(0, 1), [1, 2], upTo(2)).flat();
  const title = 'train small, batch 32, bfloat16';
  const rows = [
    { work: `${title}, 2 threads`, of: 'engine', 'median ms': 10, 'to best PyTorch': 0.5 },
    { work: `${title}, 2 threads`, of: 'pytorch eager', 'median ms': 20, 'to best PyTorch': 1 },
    { work: `${title}, 2 threads`, of: 'pytorch compile', note: 'not compiled in 9 s' },
    { work: `${title}, 1 thread`, of: 'all', note: 'no time left' },
  ];
  const named = { work: 'train small, batch 32', precision: 'bfloat16' };
  t.deepEqual(tableOf(cases, rows), [
    {
      ...{ ...named, threads: 2, 'engine ms': 10, 'PyTorch eager ms': 20, 'PyTorch compile ms': '' },
      ...{ 'to best PyTorch': 0.5, note: 'pytorch compile: not compiled in 9 s' },
    },
    {
      ...{ ...named, threads: 1, 'engine ms': '', 'PyTorch eager ms': '', 'PyTorch compile ms': '' },
      ...{ 'to best PyTorch': '', note: 'all: no time left' },
    },
  ]);
});
