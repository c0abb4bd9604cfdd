/** The pack for a machine with many cores, whole, on one and two threads of this one. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test from 'ava';

import { standaloneContext } from '../../deploy/setup/context.js';
import { SMALL_32 } from '../bench/networks.js';
import { TEST_ALL } from '../engine/pjrt/plugin-file.js';
import { packProcessor } from './processor-pack.js';
import { MOST_MEBIBYTES, sizeOf } from './programs.js';

const TINY = { ...SMALL_32, imageSize: 8, modelChannels: 32, numResBlocks: 1, channelMult: [1] };

/** A program that isn't there. */
const NO_PYTHON = 'python-without-peers';

const torch = process.env['IP_DIFFUSION_TEST_TORCH'];

interface Result {
  readonly about: { readonly bfloat16: string; readonly kernels: string };
  readonly table: readonly {
    readonly work: string;
    readonly precision: string;
    readonly threads: number;
    readonly 'engine ms': number | '';
    readonly 'PyTorch eager ms': number | '';
    readonly 'to best PyTorch': number | '';
    readonly note: string;
  }[];
}

const whole = TEST_ALL ? test : test.skip;

whole('parts that were taken elsewhere time the engine without anything of the checkout', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'parts-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const [made, place] = [join(folder, 'made'), join(folder, 'place')];
  const context = standaloneContext((line) => {
    t.log(line);
  });
  const parts = await packProcessor(made, context, {
    ...{ most: MOST_MEBIBYTES, effort: 'least' },
    networks: [{ name: 'tiny', architecture: TINY, trainBatch: 2, sampleBatch: 2 }],
  });
  t.deepEqual(
    readdirSync(made),
    parts.map(({ name }) => name),
  );
  for (const { name } of parts) {
    const size = sizeOf(join(made, name)) / 1024 ** 2;
    t.log(`${name}: ${size.toFixed(1)} MiB`);
    t.true(size <= MOST_MEBIBYTES);
  }
  renameSync(made, place);
  const { stdout } = await promisify(execFile)(
    'bash',
    [
      join(place, 'part-1', 'run.sh'),
      ...['--threads', '1,2', '--minutes', '20', '--no-compile', '--python', torch ?? NO_PYTHON],
    ],
    { cwd: tmpdir(), env: { PATH: process.env['PATH'], TMPDIR: tmpdir() } },
  );
  t.log(stdout);
  if (torch === undefined) t.log('skipped PyTorch: IP_DIFFUSION_TEST_TORCH names no Python that has it');
  const { about, table } = JSON.parse(readFileSync(join(place, 'result.json'), 'utf8')) as Result;
  t.regex(about.kernels, /^x86-64-v\d/);
  const threads = availableParallelism() > 1 ? [2, 1] : [1];
  const precisions = about.bfloat16 === 'yes' ? ['bfloat16', 'float32'] : ['float32'];
  t.deepEqual(
    table.map(({ work, precision, threads }) => [work, precision, threads]),
    threads.flatMap((each) =>
      ['train', 'predict'].flatMap((work) =>
        precisions.map((precision) => [`${work} tiny, batch 2`, precision, each]),
      ),
    ),
  );
  for (const row of table) {
    t.true(Number(row['engine ms']) > 0);
    t.is(Number(row['PyTorch eager ms']) > 0, torch !== undefined);
    t.is(Number(row['to best PyTorch']) > 0, torch !== undefined);
    t.is(row.note.includes(NO_PYTHON), torch === undefined);
  }
});
