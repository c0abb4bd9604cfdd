/** The files that start a batch's workers by a scheduler, as far as they run here. */

import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test from 'ava';

import { fakeSampler } from '../cli/fake-sampler.js';
import { run } from '../cli/sinks.js';
import { programArguments, ROOT } from '../programs.js';

const execute = promisify(execFile);
const script = (name: string): string => join(ROOT, 'deploy', 'batch', name);

test('xargs.sh makes a whole batch', async (t) => {
  const { address } = await fakeSampler(t);
  const out = join(await mkdtemp(join(tmpdir(), 'scripts-')), 'out');
  const plan = ['--count', '7', '--shard-size', '2', '--steps', '3', '--out', out, '--server', address];
  t.is((await run(['batch', 'tiny', ...plan, '--plan-only'])).exitCode, 0);
  t.like(JSON.parse((await run(['batch', 'status', out, '--json'])).out), { images: { complete: 0 } });
  const program = [process.execPath, ...programArguments(import.meta.url, '../../services/cli/main')];
  await execute(script('xargs.sh'), [out, '2', '--server', address], {
    env: { ...process.env, IP_DIFFUSION: program.join(' ') },
  });
  t.is((await run(['batch', 'verify', out])).exitCode, 0);
});

/** The words that a script gives to the program in each of its workers. */
async function wordsOf(name: string, words: readonly string[], environment = {}): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'scripts-'));
  const [program, log] = [join(folder, 'program'), join(folder, 'log')];
  await writeFile(program, `#!/bin/sh\necho "$@" >> ${log}\n`);
  await chmod(program, 0o755);
  await execute(script(name), words, { env: { ...process.env, IP_DIFFUSION: program, ...environment } });
  return (await readFile(log, 'utf8')).trim().split('\n').sort();
}

const WANTED = [0, 1, 2].map((i) => `batch --out s3://b/x --shard ${i}/3 --server a:1`);

test('gnu-parallel.sh starts each worker once', async (t) => {
  const isThere = await execute('parallel', ['--version']).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    t.log('GNU parallel is missing here');
    t.pass();
    return;
  }
  t.deepEqual(await wordsOf('gnu-parallel.sh', ['s3://b/x', '3', '--server', 'a:1']), WANTED);
});

test('slurm-array.sh takes its part from its task', async (t) => {
  const words = ['s3://b/x', '3', '--server', 'a:1'];
  const tasks = ['0', '1', '2'].map((id) => wordsOf('slurm-array.sh', words, { SLURM_ARRAY_TASK_ID: id }));
  t.deepEqual((await Promise.all(tasks)).flat(), WANTED);
});
