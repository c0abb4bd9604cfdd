/** The script for a machine with a card, whole, on XLA's CPU plugin. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { SMALL_32 } from '../../bench/networks.js';
import { CPU_PLUGIN, testAll } from './plugin-file.js';
import { pack } from '../../device/pack.js';
import { MOST_MEBIBYTES, sizeOf } from '../../device/programs.js';

const TINY = { ...SMALL_32, imageSize: 8, modelChannels: 32, numResBlocks: 1, channelMult: [1] };

/** A program that isn't there. */
const NO_PYTHON = 'python-without-peers';

/** Pythons that have PyTorch and JAX; one that isn't named is not there for the script either. */
const { IP_DIFFUSION_TEST_TORCH: torch, IP_DIFFUSION_TEST_JAX: jax } = process.env;

const WORKS = ['train', 'predict'].flatMap((work) =>
  ['bfloat16', 'float32'].map((precision) => `${work} tiny, batch 2, ${precision}`),
);

interface Result {
  readonly checks: readonly { readonly check: string; readonly holds: boolean }[];
  readonly rows: readonly {
    readonly work: string;
    readonly of: string;
    readonly 'median ms'?: number;
    readonly note?: string;
  }[];
  readonly left: number;
}

testAll('a packed folder checks and times the engine without anything of the checkout', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pack-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  await pack(folder, [{ name: 'tiny', architecture: TINY, trainBatch: 2, sampleBatch: 2 }]);
  t.true(sizeOf(folder) <= MOST_MEBIBYTES * 1024 ** 2);
  const out = join(folder, 'out.json');
  const { stdout } = await promisify(execFile)(
    'bash',
    [
      join(folder, 'run.sh'),
      ...['--device', 'cpu-pjrt', '--plugin', CPU_PLUGIN ?? '', '--minutes', '20', '--out', out],
      ...['--python', torch ?? NO_PYTHON, '--jax-python', jax ?? NO_PYTHON],
    ],
    { cwd: tmpdir(), env: { PATH: process.env['PATH'], TMPDIR: tmpdir() } },
  );
  t.log(stdout);
  const { checks, rows, left } = JSON.parse(readFileSync(out, 'utf8')) as Result;
  const there = [torch, jax].filter((python) => python !== undefined);
  if (torch === undefined) t.log('skipped PyTorch: IP_DIFFUSION_TEST_TORCH names no Python that has it');
  if (jax === undefined) t.log('skipped JAX: IP_DIFFUSION_TEST_JAX names no Python that has it');
  t.is(checks.length, 5 + 2 * there.length);
  t.deepEqual(
    checks.filter(({ holds }) => !holds),
    [],
  );
  t.is(left, 0);
  const timed = [
    'engine',
    ...(torch === undefined ? [] : ['pytorch eager']),
    ...(jax === undefined ? [] : ['jax']),
  ];
  const named = (chosen: Result['rows']): string[] => chosen.map(({ work, of }) => `${work}: ${of}`);
  t.deepEqual(
    named(rows.filter((row) => (row['median ms'] ?? 0) > 0)),
    WORKS.flatMap((work) => timed.map((of) => `${work}: ${of}`)),
  );
  const absent = [...(torch === undefined ? ['torch'] : []), ...(jax === undefined ? ['jax'] : [])];
  t.deepEqual(
    named(rows.filter(({ note }) => note?.includes(NO_PYTHON) === true)),
    WORKS.flatMap((work) => absent.map((of) => `${work}: ${of}`)),
  );
  t.is(rows.length, WORKS.length * (timed.length + absent.length));
});
