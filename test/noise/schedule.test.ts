import test from 'ava';
import fc from 'fast-check';
import { DiffusionError } from '../../shared/foundation/index.js';
import { betasHash, makeBetas } from '../../shared/noise/index.js';
import type { NoiseScheduleConfig } from '../../shared/noise/index.js';

test('the linear schedule runs from 1e-4 to 0.02 at 1000 timesteps', (t) => {
  const betas = makeBetas({ name: 'linear', timesteps: 1000 });
  t.is(betas.length, 1000);
  t.is(betas[0], 0.0001);
  t.is(betas[999], 0.02);
});

test('the cosine schedule ends at 0.75 and the largest beta at 1000 timesteps', (t) => {
  const betas = makeBetas({ name: 'cosine', timesteps: 1000 });
  t.true(Math.abs((betas[998] ?? NaN) - 0.75) < 1e-5);
  t.is(betas[999], 0.999);
});

test('every named schedule has betas over 0 and under 1', (t) => {
  const config = fc.oneof(
    fc.record({ name: fc.constant('linear' as const), timesteps: fc.integer({ min: 21, max: 5000 }) }),
    fc.record({ name: fc.constant('cosine' as const), timesteps: fc.integer({ min: 1, max: 5000 }) }),
  );
  fc.assert(
    fc.property(config, (value) => {
      const betas = makeBetas(value);
      t.is(betas.length, value.timesteps);
      t.true(betas.every((beta) => beta > 0 && beta < 1));
    }),
    { numRuns: 30 },
  );
});

test('given betas are taken as they are', (t) => {
  t.deepEqual(
    makeBetas({ name: 'custom', betas: [0.1, 0.2, 0.2, 0.5] }),
    Float64Array.of(0.1, 0.2, 0.2, 0.5),
  );
});

const REFUSED: readonly (readonly [string, string, NoiseScheduleConfig])[] = [
  ['no timesteps', 'timesteps', { name: 'cosine', timesteps: 0 }],
  ['half a timestep', 'timesteps', { name: 'cosine', timesteps: 10.5 }],
  ['timesteps that are no number', 'timesteps', { name: 'linear', timesteps: NaN }],
  ['a thousand million timesteps', 'timesteps', { name: 'linear', timesteps: 1e9 }],
  ['a linear schedule so short that it needs betas of 1', 'timesteps', { name: 'linear', timesteps: 20 }],
  ['no betas', 'betas', { name: 'custom', betas: [] }],
  ['a beta of 0', 'betas[0]', { name: 'custom', betas: [0, 0.1] }],
  ['a beta too small for float64 to see', 'betas[0]', { name: 'custom', betas: [1e-17] }],
  ['a beta of 1', 'betas[1]', { name: 'custom', betas: [0.1, 1] }],
  ['a beta that is no number', 'betas[2]', { name: 'custom', betas: [0.1, 0.2, NaN] }],
  ['an infinite beta', 'betas[0]', { name: 'custom', betas: [Infinity] }],
  ['betas that decrease', 'betas[1]', { name: 'custom', betas: [0.2, 0.1] }],
  [
    'betas that leave nothing of the image',
    'betas',
    { name: 'custom', betas: Array.from({ length: 100 }, () => 0.9) },
  ],
];

for (const [what, field, config] of REFUSED) {
  test(`${what}: refused by the field's name`, (t) => {
    const error = t.throws(() => makeBetas(config), { instanceOf: DiffusionError });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.deepEqual(
      error.violations.map((violation) => violation.field),
      [field],
    );
  });
}

test('the hash is SHA-256 over little-endian float64', (t) => {
  // printf '000000000000e03f' | xxd -r -p | sha256sum
  t.is(betasHash(Float64Array.of(0.5)), '4cfa5b42ca669328764e67cd9a34bb8f90b16ed7ca8d85e8443783d7ccce15ed');
  t.not(betasHash(Float64Array.of(0.5, 0.5)), betasHash(Float64Array.of(0.5)));
});
