/** Data sets lie in the folders and buckets that the settings name, whatever links say. */

import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { dataSources } from '../../services/trainer/data-sources.js';
import { reader } from '../../services/trainer/reading.js';
import { readSettings } from '../../services/trainer/config.js';
import { openDataset } from '../../shared/dataset/index.js';
import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { fileAccess, openFiles } from '../../shared/store/index.js';
import { pngOf, put, temporaryFolder } from '../dataset/folders.js';

/** `allowed` with one image and links, `outside` with another. */
async function places(t: ExecutionContext) {
  const base = await temporaryFolder(t);
  const [allowed, outside] = [join(base, 'allowed'), join(base, 'outside')];
  await put(allowed, 'images/a.png', await pngOf(1));
  await put(outside, 'secret.png', await pngOf(2));
  await mkdir(join(base, 'allowed-not'));
  await symlink(outside, join(allowed, 'link'));
  await symlink(allowed, join(base, 'to-allowed'));
  await symlink(join(outside, 'secret.png'), join(allowed, 'images', 'linked.png'));
  const access = fileAccess({ IP_DIFFUSION_DATA_ROOTS: `${allowed},${join(base, 'not made yet')}` });
  return { base, allowed, outside, access };
}

const refusal = { instanceOf: DiffusionError, code: 'PERMISSION_DENIED' } as const;

test('what lies in a root is read, and a link out of it is not', async (t) => {
  const { base, allowed, access } = await places(t);
  for (const path of [allowed, join(allowed, 'images'), join(base, 'to-allowed', 'images')]) {
    const files = await openFiles(path, access);
    await (path.startsWith(allowed) ? files.check({}) : t.throwsAsync(files.check({}), refusal));
  }
  const files = await openFiles(join(allowed, 'images'), access);
  const listing = await files.list((name) => name.endsWith('.png'));
  t.deepEqual(
    listing.files.map(({ path }) => path),
    ['a.png'],
  );
  t.deepEqual(listing.skipped, [{ path: 'linked.png', reason: 'LINK_OUTSIDE' }]);
});

test('a root may be named by a link', async (t) => {
  const { base, allowed } = await places(t);
  const access = fileAccess({ IP_DIFFUSION_DATA_ROOTS: join(base, 'to-allowed') });
  for (const path of [join(base, 'to-allowed', 'images'), join(allowed, 'images')])
    await t.notThrowsAsync((await openFiles(path, access)).check({}));
});

test('what lies elsewhere is refused with one text, whether it is there or not', async (t) => {
  const { base, allowed, outside, access } = await places(t);
  const texts = new Set<string>();
  for (const path of [
    outside,
    join(outside, 'missing'),
    join(allowed, '..', 'outside'),
    join(allowed, 'link'),
    join(base, 'allowed-not'),
    '/',
    '/etc',
    'relative',
  ]) {
    const files = await openFiles(path, access);
    for (const call of [files.check({}), files.list(() => true)])
      texts.add((await t.throwsAsync(call, refusal)).message);
  }
  const file = await openFiles(join(outside, 'images.npz'), access, { extension: '.npz' });
  texts.add(
    (
      await t.throwsAsync(
        file.list(() => true),
        refusal,
      )
    ).message,
  );
  t.is(texts.size, 1);
  const inside = await openFiles(join(allowed, 'missing'), access);
  await t.throwsAsync(inside.check({}), { code: 'NOT_FOUND' });
});

test('buckets are those that the settings name', async (t) => {
  const server = {
    IP_DIFFUSION_S3_ENDPOINT: 'http://127.0.0.1:1',
    IP_DIFFUSION_S3_ACCESS_KEY: 'key',
    IP_DIFFUSION_S3_SECRET_KEY: 'secret',
  };
  const some = fileAccess({ ...server, IP_DIFFUSION_DATA_BUCKETS: 'photos, more' });
  for (const url of ['s3://photos/a', 's3://more']) await (await openFiles(url, some)).close();
  await t.throwsAsync(openFiles('s3://models/a', some), refusal);
  await t.throwsAsync(openFiles('s3://photos', fileAccess(server, 'none')), refusal);
  await (await openFiles('s3://models', fileAccess(server))).close();
});

test('a trainer on loopback takes any folder; one that a network reaches takes those that are named', (t) => {
  const address = { IP_DIFFUSION_TRAINER_ADDRESS: '0.0.0.0:50061', IP_DIFFUSION_INSECURE: 'on' };
  t.is(readSettings({}).fileAccess.local?.roots, undefined);
  t.deepEqual(readSettings(address).fileAccess.local?.roots, []);
  const named = { ...address, IP_DIFFUSION_DATA_ROOTS: '/data,/more' };
  t.deepEqual(readSettings(named).fileAccess.local?.roots, ['/data', '/more']);
});

test('creating, validating and the start of training hold to the roots', async (t) => {
  const { base, allowed, outside, access } = await places(t);
  const sources = dataSources({
    ...{ access, cacheFolder: join(base, 'cache') },
    reader: reader({
      ...{ environment: { PATH: process.env['PATH'] }, heartbeatTimeoutMs: 60_000, clock: systemClock },
    }),
  });
  const recipeAt = (path: string) =>
    resolveRecipe({ preset: 'demo-32', dataset: { source: { kind: 'folder', path } } }, 'name');
  await sources.check(recipeAt(allowed));
  const error = await t.throwsAsync(sources.check(recipeAt(outside)), refusal);
  t.is(error.violations[0]?.field, 'recipe.dataset.folder.path');
  t.false(await sources.isReachable(recipeAt(outside)));
  await t.throwsAsync(sources.scan(recipeAt(outside), new AbortController().signal), refusal);
  const settings = { imageSize: 8, channels: 3 } as const;
  const source = { kind: 'folder', path: join(allowed, 'swapped'), classFolders: false } as const;
  await mkdir(source.path);
  await writeFile(join(source.path, 'a.png'), await pngOf(1));
  const options = { cacheFolder: join(base, 'cache'), access };
  await t.notThrowsAsync(openDataset({ source, ...settings }, options));
  // Where the folder became a link after the job was created, training doesn't follow it, prepared images or not.
  await rm(source.path, { recursive: true });
  await symlink(outside, source.path);
  await t.throwsAsync(openDataset({ source, ...settings }, options), refusal);
});
