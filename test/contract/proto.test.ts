import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

import test from 'ava';

const run = promisify(execFile);
const buf = createRequire(import.meta.url).resolve('@bufbuild/buf/bin/buf');

test('the contracts pass buf lint', async (t) => {
  await t.notThrowsAsync(run(process.execPath, [buf, 'lint', 'proto']));
});

test('the contracts break no client of the released ones', async (t) => {
  await t.notThrowsAsync(
    run(process.execPath, [buf, 'breaking', 'proto', '--against', 'proto/baseline.binpb']),
  );
});

test('the contracts are formatted', async (t) => {
  await t.notThrowsAsync(run(process.execPath, [buf, 'format', 'proto', '--diff', '--exit-code']));
});
