/** Stamps: current only while the inputs and everything that was made are as recorded. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';

import { removeStamp, isCurrent, recordStamp } from '../../../deploy/setup/stamp.js';
import { testContext } from './scratch.js';

async function made(t: ExecutionContext) {
  const { cache: root } = await testContext(t);
  const folder = join(root, 'out');
  await mkdir(join(folder, 'deep'), { recursive: true });
  await writeFile(join(folder, 'deep', 'file'), 'content');
  await recordStamp(root, 'thing', 'key', folder);
  return { root, folder, current: (key: string) => isCurrent(root, 'thing', key, folder) };
}

test('what was made from the same inputs is current, from others not', async (t) => {
  const { current } = await made(t);
  t.true(await current('key'));
  t.false(await current('other key'));
});

test('a missing or shortened file is noticed', async (t) => {
  const { folder, current } = await made(t);
  await writeFile(join(folder, 'deep', 'file'), 'short');
  t.false(await current('key'));
  await rm(folder, { recursive: true });
  t.false(await current('key'));
});

test('a removed or damaged stamp is not current', async (t) => {
  const { root, current } = await made(t);
  await writeFile(join(root, '.setup', 'thing.json'), '{"key":"ke');
  t.false(await current('key'));
  await removeStamp(root, 'thing');
  t.false(await current('key'));
});
