/** The script for a machine with a card, whole, on XLA's CPU plugin. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { SMALL_32 } from '../../bench/networks.js';
import { CPU_PLUGIN, testAll } from './plugin-file.js';
import { MOST_MEBIBYTES, pack, sizeOf } from '../../device/pack.js';

const TINY = { ...SMALL_32, imageSize: 8, modelChannels: 32, numResBlocks: 1, channelMult: [1] };

testAll('a packed folder checks and times the engine without anything of the checkout', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pack-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  await pack(folder, [{ name: 'tiny', architecture: TINY, trainBatch: 2, sampleBatch: 2 }]);
  t.true(sizeOf(folder) <= MOST_MEBIBYTES * 1024 ** 2);
  const out = join(folder, 'out.json');
  const args = [
    '--device',
    'cpu-pjrt',
    '--plugin',
    CPU_PLUGIN ?? '',
    '--no-peers',
    '--minutes',
    '20',
    '--out',
    out,
  ];
  const { stdout } = await promisify(execFile)('bash', [join(folder, 'run.sh'), ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env['PATH'], TMPDIR: tmpdir() },
  });
  t.log(stdout);
  const result = JSON.parse(readFileSync(out, 'utf8')) as {
    checks: { check: string; holds: boolean }[];
    rows: { work: string; of: string; 'median ms': number }[];
    left: number;
    leftOut: string[];
  };
  t.is(result.checks.length, 5);
  t.deepEqual(
    result.checks.filter(({ holds }) => !holds),
    [],
  );
  t.is(result.left, 0);
  t.deepEqual(result.leftOut, []);
  t.deepEqual(
    result.rows.map(({ work, of }) => `${work}: ${of}`),
    [
      'train tiny, batch 2, bfloat16: engine',
      'train tiny, batch 2, float32: engine',
      'predict tiny, batch 2, bfloat16: engine',
      'predict tiny, batch 2, float32: engine',
    ],
  );
  t.true(result.rows.every((row) => row['median ms'] > 0));
});
