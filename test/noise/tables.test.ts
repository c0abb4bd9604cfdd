import test from 'ava';
import fc from 'fast-check';
import { diffusionTables, fixedLogVariance, makeBetas, respacedBetas } from '../../shared/noise/index.js';

const anyBetas = fc
  .array(fc.double({ min: 1e-5, max: 0.9, noNaN: true }), { minLength: 1, maxLength: 40 })
  .map((betas) => Float64Array.from(betas));

function near(ours: number, wanted: number, tolerance: number): boolean {
  return Math.abs(ours - wanted) <= tolerance * Math.abs(wanted);
}

test('posteriorMeanCoef1 + posteriorMeanCoef2 sqrtAlphasCumprod = sqrtAlphasCumprodPrev', (t) => {
  fc.assert(
    fc.property(anyBetas, (betas) => {
      const tables = diffusionTables(betas);
      betas.forEach((_, i) => {
        const coef1 = tables.posteriorMeanCoef1[i] ?? NaN;
        const coef2 = tables.posteriorMeanCoef2[i] ?? NaN;
        const root = tables.sqrtAlphasCumprod[i] ?? NaN;
        // q's mean at x_t = sqrt(alphasCumprod) x_0 lies at sqrt(alphasCumprodPrev) x_0.
        t.true(near(coef1 + coef2 * root, Math.sqrt(tables.alphasCumprodPrev[i] ?? NaN), 1e-9));
      });
    }),
  );
});

test('every table is finite for any betas, a single one included', (t) => {
  fc.assert(
    fc.property(anyBetas, (betas) => {
      const { timesteps, ...tables } = diffusionTables(betas);
      for (const table of Object.values(tables)) {
        t.is(table.length, timesteps);
        t.true(table.every((value) => Number.isFinite(value)));
      }
    }),
  );
});

test('respacing to all steps is the identity of the tables', (t) => {
  for (const name of ['linear', 'cosine'] as const) {
    const betas = makeBetas({ name, timesteps: 1000 });
    const respaced = respacedBetas(betas, [...betas.keys()]);
    t.deepEqual([...respaced.timestepMap], [...betas.keys()]);
    const { timesteps, ...wanted } = diffusionTables(betas);
    t.is(timesteps, 1000);
    const ours = diffusionTables(respaced.betas);
    for (const [table, values] of Object.entries(wanted)) {
      const got = ours[table as keyof typeof wanted];
      // A beta of 1e-4 recomputed as 1 - 0.9999 keeps twelve of its digits.
      t.true(
        values.every((value, i) => near(got[i] ?? NaN, value, 1e-10)),
        table,
      );
    }
  }
});

test('a respaced process has the alphasCumprod of the timesteps that it visits', (t) => {
  const full = makeBetas({ name: 'cosine', timesteps: 1000 });
  const visited = [0, 17, 500, 999];
  const ours = diffusionTables(respacedBetas(full, visited).betas).alphasCumprod;
  const wanted = diffusionTables(full).alphasCumprod;
  visited.forEach((timestep, i) => {
    // The reference's 1 - beta keeps eight digits of the last one, which is 2e-9.
    t.true(near(ours[i] ?? NaN, wanted[timestep] ?? NaN, 1e-7));
  });
});

test('the fixed variances are the posterior variance and beta, with t = 1 standing in for t = 0', (t) => {
  const tables = diffusionTables(Float64Array.of(0.1, 0.2, 0.3));
  const exponentials = (type: 'fixed_small' | 'fixed_large') =>
    [...fixedLogVariance(tables, type)].map(Math.exp);
  const [, variance1 = NaN, variance2 = NaN] = tables.posteriorVariance;
  for (const [type, wanted] of [
    ['fixed_small', [variance1, variance1, variance2]],
    ['fixed_large', [variance1, 0.2, 0.3]],
  ] as const) {
    exponentials(type).forEach((value, i) => {
      t.true(near(value, wanted[i] ?? NaN, 1e-14));
    });
  }
});
