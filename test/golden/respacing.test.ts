/** The respacing grammar against the reference's `space_timesteps`. */
import test from 'ava';
import { DiffusionError } from '../../shared/foundation/index.js';
import { spaceTimesteps } from '../../shared/sampler/index.js';
import { goldenFile } from './golden.js';

type Case = { readonly T: number; readonly respacing: string } & (
  | { readonly timesteps: number[] }
  | { readonly error: string }
);

const cases = JSON.parse(goldenFile('respacing.json').toString()) as Case[];

for (const golden of cases) {
  const { T, respacing } = golden;
  if ('timesteps' in golden) {
    test(`"${respacing}" of ${T} takes the reference's timesteps`, (t) => {
      t.deepEqual(spaceTimesteps(T, respacing), golden.timesteps);
    });
  } else {
    test(`"${respacing}" of ${T} is refused where the reference raises ${golden.error}`, (t) => {
      const error = t.throws(() => spaceTimesteps(T, respacing), { instanceOf: DiffusionError });
      t.is(error.code, 'INVALID_ARGUMENT');
      t.is(error.violations[0]?.field, 'respacing');
    });
  }
}
