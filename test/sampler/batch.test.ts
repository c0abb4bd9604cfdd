import test from 'ava';
import fc from 'fast-check';

import { packRows, splitRows } from '../../shared/sampler/index.js';

const SIZES = [1, 2, 4, 8];

const rows = fc.array(
  fc.record({
    xT: fc.float32Array({ minLength: 6, maxLength: 6 }),
    t: fc.integer({ min: 0, max: 999 }),
    y: fc.nat(9),
  }),
  { minLength: 1, maxLength: 8 },
);

test('a batch is the smallest that holds the rows, and the remaining places repeat the first row', (t) => {
  fc.assert(
    fc.property(rows, (given) => {
      const { size, xT, t: timesteps, y } = packRows(given, SIZES);
      t.is(size, SIZES.find((candidate) => candidate >= given.length) ?? 0);
      for (let place = 0; place < size; place++) {
        const row = given[place < given.length ? place : 0];
        t.deepEqual(xT.slice(6 * place, 6 * place + 6), row?.xT);
        t.is(timesteps[place], row?.t ?? -1);
        t.is(y[place], row?.y);
      }
    }),
    { numRuns: 50 },
  );
});

test('each row gets its own part of the output, and padding is dropped', (t) => {
  const split = splitRows(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), 4, 3);
  t.deepEqual(split, [Float32Array.of(1, 2), Float32Array.of(3, 4), Float32Array.of(5, 6)]);
});
