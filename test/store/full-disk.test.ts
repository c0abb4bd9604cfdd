/** A disk that is really full: a small file system in memory, which a process of its own mounts for itself alone. */

import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';

import { temporaryFolder } from '../dataset/folders.js';
import { programArguments } from '../programs.js';

const CAN_MOUNT = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

test('on a full disk a put fails and leaves all as it was, and a data set says what is full [fault 88]', async (t) => {
  if (!CAN_MOUNT) {
    t.log('skipped: this system mounts nothing for a process without rights');
    t.pass();
    return;
  }
  const folder = await temporaryFolder(t);
  const [disk, images] = [join(folder, 'disk'), join(folder, 'images')];
  await mkdir(disk);
  const script = 'mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"';
  const program = [process.execPath, ...programArguments(import.meta.url, './full-disk-process')];
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['-rm', 'sh', '-c', script, disk, ...program, disk, images],
    {
      encoding: 'utf8',
    },
  );
  t.deepEqual(
    JSON.parse(stdout || '{}'),
    {
      put: 'RESOURCE_EXHAUSTED STORE_FULL',
      replaced: 'RESOURCE_EXHAUSTED STORE_FULL',
      created: 'RESOURCE_EXHAUSTED STORE_FULL',
      kept: 'before',
      temporary: [],
      whenFull: 'RESOURCE_EXHAUSTED STORE_FULL',
      removed: 'done',
      cache: 'FAILED_PRECONDITION CACHE_UNUSABLE',
      afterwards: 'done',
    },
    stderr,
  );
});
