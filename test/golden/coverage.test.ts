/** Every golden file is used: each is tested by a suite beside this one, or named here as skipped. */
import test from 'ava';
import { goldenNames } from './golden.js';

/** What a file's name says of the suite that reads it. */
const TESTED = [
  /^schedules\.json$/,
  /^respacing\.json$/,
  /^loss_second_moment\.json$/,
  /^(unet|loss|train|sample|ddim_reverse)_.*\.safetensors$/,
  /\.pt$/,
  /^evaluator$/,
];

const NOT_BUILT: readonly (readonly [RegExp, string])[] = [
  [/^bpd.*\.safetensors$/, 'the likelihood in bits per dimension is not built'],
];

const files = goldenNames().filter((name) => name !== 'README.md');

for (const name of files) {
  if (TESTED.some((pattern) => pattern.test(name))) continue;
  const reason = NOT_BUILT.find(([pattern]) => pattern.test(name))?.[1] ?? 'no suite knows this kind of file';
  test.skip(`${name}: ${reason}`, (t) => {
    t.pass();
  });
}

test('every kind of tested file is at hand', (t) => {
  for (const pattern of [...TESTED.slice(0, 3), /^unet_/, /^loss_.*\.safetensors$/, /^train_/, /^sample_/, /^ddim_reverse_/]) {
    t.true(
      files.some((name) => pattern.test(name)),
      String(pattern),
    );
  }
});
