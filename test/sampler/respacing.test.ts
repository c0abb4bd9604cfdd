import test from 'ava';
import fc from 'fast-check';
import { DiffusionError } from '../../shared/foundation/index.js';
import { spacedTimesteps, spaceTimesteps } from '../../shared/sampler/index.js';

test('any step count from 1 to T gives that many timesteps, ascending, that end at T - 1', (t) => {
  const sizes = fc
    .integer({ min: 1, max: 1200 })
    .chain((T) => fc.tuple(fc.constant(T), fc.integer({ min: 1, max: T })));
  fc.assert(
    fc.property(sizes, ([T, steps]) => {
      const timesteps = spacedTimesteps(T, steps, 'even');
      t.is(timesteps.length, steps);
      t.is(timesteps.at(-1), T - 1);
      t.true(timesteps.every((value, i) => i === 0 || value > (timesteps[i - 1] ?? NaN)));
      t.true(steps === 1 || timesteps[0] === 0);
    }),
  );
});

test('all T steps are all timesteps', (t) => {
  t.deepEqual(spacedTimesteps(250, 250, 'even'), [...Array(250).keys()]);
});

test('one step visits T - 1, while the respacing text "1" visits 0 as in the reference', (t) => {
  t.deepEqual(spacedTimesteps(1000, 1, 'even'), [999]);
  t.deepEqual(spaceTimesteps(1000, '1'), [0]);
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

test('the refusal of a stride shows what was asked for', (t) => {
  const error = t.throws(() => spaceTimesteps(1000, 'ddim80'), { instanceOf: DiffusionError });
  t.is(
    error.message,
    'respacing: wanted a count that some integer stride over 1000 timesteps gives; got "ddim80"',
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
