import test from 'ava';
import fc from 'fast-check';
import { DiffusionError } from '../../shared/foundation/index.js';
import { spacedTimesteps, spaceTimesteps, SPACINGS } from '../../shared/sampler/index.js';

test('any step count from 1 to T gives that many timesteps, ascending, from 0 or to T - 1', (t) => {
  const sizes = fc
    .integer({ min: 1, max: 1200 })
    .chain((T) => fc.tuple(fc.constant(T), fc.integer({ min: 1, max: T })));
  fc.assert(
    fc.property(sizes, fc.constantFrom(...SPACINGS), ([T, steps], spacing) => {
      const timesteps = spacedTimesteps(T, steps, spacing);
      t.is(timesteps.length, steps);
      t.true(timesteps.every((value, i) => value > (timesteps[i - 1] ?? -1) && value < T));
      if (spacing !== 'leading') t.is(timesteps.at(-1), T - 1);
      if (spacing !== 'trailing' && steps > 1) t.is(timesteps[0], 0);
    }),
  );
});

test('all T steps are all timesteps, and one is T - 1, however spaced', (t) => {
  for (const spacing of SPACINGS) {
    t.deepEqual(spacedTimesteps(250, 250, spacing), [...Array(250).keys()]);
    t.deepEqual(spacedTimesteps(1000, 1, spacing), [999]);
  }
  t.deepEqual(spaceTimesteps(1000, '1'), [0]);
});

test('10 of 1000 lie as in the table of arXiv 2305.08891', (t) => {
  t.deepEqual(spacedTimesteps(1000, 10, 'leading'), [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
  t.deepEqual(spacedTimesteps(1000, 10, 'linspace'), [0, 111, 222, 333, 444, 555, 666, 777, 888, 999]);
  t.deepEqual(spacedTimesteps(1000, 10, 'trailing'), [99, 199, 299, 399, 499, 599, 699, 799, 899, 999]);
});

test('halves are rounded to even', (t) => {
  t.deepEqual(spaceTimesteps(1000, '7'), [0, 166, 333, 500, 666, 832, 999]);
  t.deepEqual(spaceTimesteps(4, '3'), [0, 2, 3]);
});

test('spaces around counts are allowed, and a section may take none', (t) => {
  t.deepEqual(spaceTimesteps(300, ' 10, 15 ,20 '), spaceTimesteps(300, '10,15,20'));
  t.deepEqual(spaceTimesteps(10, '0,2'), [5, 9]);
});

const REFUSED = [
  '',
  '0',
  '0,0',
  '-5',
  '1.5',
  'ten',
  '10,',
  ',10',
  '1e2',
  '1001',
  'ddim',
  'ddim0',
  'ddim 50',
  'DDIM50',
  '600,1',
];

for (const respacing of REFUSED) {
  test(`"${respacing}" is refused as a respacing of 1000`, (t) => {
    const error = t.throws(() => spaceTimesteps(1000, respacing), { instanceOf: DiffusionError });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.is(error.violations[0]?.field, 'respacing');
  });
}

test('the refusal of a stride shows the requested value', (t) => {
  const error = t.throws(() => spaceTimesteps(1000, 'ddim80'), { instanceOf: DiffusionError });
  t.is(
    error.message,
    'respacing: wanted a count that an integer stride over 1000 timesteps can give; got "ddim80"',
  );
});

test('the refusal of a section shows which, and its size', (t) => {
  const error = t.throws(() => spaceTimesteps(10, '2,6'), { instanceOf: DiffusionError });
  t.is(error.message, 'respacing: wanted at most 5 steps from section 2; got "2,6"');
});

for (const steps of [0, -1, 1.5, 1001, NaN, 4294967295]) {
  test(`${steps} steps of 1000 are refused by name`, (t) => {
    const error = t.throws(() => spacedTimesteps(1000, steps, 'even'), { instanceOf: DiffusionError });
    t.is(error.violations[0]?.field, 'steps');
  });
}

test('a respacing text of any length is refused before it is taken apart', (t) => {
  for (const respacing of ['1,'.repeat(8_000_000), '0,'.repeat(60) + '1', '9'.repeat(16_384)])
    t.throws(() => spaceTimesteps(50, respacing), {
      instanceOf: DiffusionError,
      code: 'INVALID_ARGUMENT',
    } as never);
});
