/** Folders in the shared cache: whole or absent, also where several processes make them. */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import test from 'ava';

import { publish, withScratch } from '../../../deploy/setup/publish.js';
import { testContext } from './scratch.js';

const wholeWith = (content: string) => async (folder: string) =>
  (await readFile(join(folder, 'file'), 'utf8').catch(() => undefined)) === content;

test('a scratch folder is removed after its work, also where the work fails', async (t) => {
  const context = await testContext(t);
  await withScratch(context, (scratch) => writeFile(join(scratch, 'file'), ''));
  await t.throwsAsync(
    withScratch(context, () => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  t.deepEqual(await readdir(context.cache), []);
});

test('the scratch folder of a dead process is removed, that of a living one and of another host stay', async (t) => {
  const context = await testContext(t);
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  const own = (host: string, pid: number) => `.partial~${host}~${pid}~00`;
  const kept = [own(hostname(), process.ppid), own('elsewhere', dead)];
  for (const name of [...kept, own(hostname(), dead)]) await mkdir(join(context.cache, name));
  await withScratch(context, () => Promise.resolve());
  t.deepEqual((await readdir(context.cache)).sort(), kept.sort());
});

test('of many that publish the same folder at once, all succeed and one whole folder remains', async (t) => {
  const context = await testContext(t);
  const target = join(context.cache, 'lib', 'x');
  const makers = Array.from({ length: 8 }, () =>
    withScratch(context, async (scratch) => {
      const finished = join(scratch, 'x');
      await mkdir(finished);
      await writeFile(join(finished, 'file'), 'whole');
      await publish(finished, target, wholeWith('whole'));
    }),
  );
  await t.notThrowsAsync(Promise.all(makers));
  t.true(await wholeWith('whole')(target));
  t.deepEqual(await readdir(context.cache), ['lib']);
});

test('a damaged folder is replaced, a whole one is kept', async (t) => {
  const context = await testContext(t);
  const target = join(context.cache, 'x');
  await mkdir(target);
  await writeFile(join(target, 'file'), 'dam');
  const put = (marker: string) =>
    withScratch(context, async (scratch) => {
      const finished = join(scratch, 'x');
      await mkdir(finished);
      await writeFile(join(finished, 'file'), 'whole');
      await writeFile(join(finished, marker), '');
      await publish(finished, target, wholeWith('whole'));
    });
  await put('first');
  await put('second');
  t.deepEqual((await readdir(target)).sort(), ['file', 'first']);
});
