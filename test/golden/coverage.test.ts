/** Every golden file is used: each is tested by a suite beside this one, or reported as skipped. */
import test from 'ava';
import { goldenNames } from './golden.js';

/** What a file's name says of the suite that reads it. */
const TESTED = [
  /^schedules\.json$/,
  /^respacing\.json$/,
  /^loss_second_moment\.json$/,
  /^(unet|loss|train|sample|ddim_reverse)_.*\.safetensors$/,
  /^bpd.*\.safetensors$/,
  /\.pt$/,
  /^evaluator$/,
];

const files = goldenNames().filter((name) => name !== 'README.md');

for (const name of files) {
  if (TESTED.some((pattern) => pattern.test(name))) continue;
  test.skip(`${name}: no suite knows this kind of file`, (t) => {
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
