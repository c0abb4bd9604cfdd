/** `--check-config`: every problem at once, by the name that the person used. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import test from 'ava';

import { temporaryFolder } from '../dataset/folders.js';
import { programArguments } from '../programs.js';

interface Checked {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function check(service: 'trainer' | 'sampler', argv: readonly string[]): Promise<Checked> {
  const child = spawn(
    process.execPath,
    [...programArguments(import.meta.url, `../../services/${service}/main`), '--check-config', ...argv],
    { env: { PATH: process.env['PATH'], HOME: process.env['HOME'] }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  return { code, out, err };
}

test('a trainer that could serve says so, and makes nothing', async (t) => {
  const folder = await temporaryFolder(t);
  const { code, out, err } = await check('trainer', ['--store', join(folder, 'store')]);
  t.is(out, 'the trainer can serve with these settings\n', err);
  t.is(code, 0);
});

test('a sampler that could not says all that is wrong, of settings, files and the store', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'settings.yaml');
  const notAFolder = join(folder, 'file');
  await writeFile(notAFolder, '');
  await writeFile(join(folder, 'short.key'), 'short');
  await writeFile(
    path,
    [
      `store: ${join(notAFolder, 'store')}`,
      `tls_cert: ${join(folder, 'none.crt')}`,
      `tls_key: ${join(folder, 'none.key')}`,
      'sampler:',
      '  max_images: none',
      `  resume_key: ${join(folder, 'short.key')}`,
    ].join('\n'),
  );
  const { code, out } = await check('sampler', ['--config', path, '--json', '--identities', notAFolder]);
  t.is(code, 1);
  const { ok, problems } = JSON.parse(out) as {
    ok: boolean;
    problems: { setting: string; problem: string }[];
  };
  t.false(ok);
  t.deepEqual(
    problems.map(({ setting }) => setting),
    [
      `${path}:5 (sampler.max_images)`,
      `${path}:2 (tls_cert)`,
      '--identities',
      `${path}:1 (store)`,
      `${path}:6 (sampler.resume_key)`,
    ],
  );
  for (const { problem } of problems) t.true(problem.length > 10, problem);
});
