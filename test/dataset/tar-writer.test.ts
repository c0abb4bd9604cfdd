import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test from 'ava';

import { tarEntries, tarOf } from '../../shared/dataset/index.js';

const FILES = [
  { path: '0000000001.png', bytes: Buffer.alloc(700, 1) },
  { path: '0000000001.json', bytes: Buffer.from('{}') },
  { path: 'empty.cls', bytes: Buffer.alloc(0) },
  { path: 'full.bin', bytes: Buffer.alloc(1024, 7) },
];

test('files come back as they were, in their order', async (t) => {
  const found = [];
  const archive = tarOf(FILES);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(archive);
  }
  for await (const { path, bytes } of tarEntries('a.tar', pieces(), () => true))
    found.push({ path, bytes: Buffer.from(bytes ?? []) });
  t.deepEqual(found, FILES);
  t.deepEqual(tarOf(FILES), archive);
});

test('the system’s tar reads it: no owner, no time', async (t) => {
  const path = join(await mkdtemp(join(tmpdir(), 'tar-')), 'a.tar');
  await writeFile(path, tarOf(FILES));
  const { stdout } = await promisify(execFile)('tar', ['--utc', '--numeric-owner', '-tvf', path]);
  t.regex(stdout, /^-rw-r--r-- 0\/0 +700 1970-01-01 00:00 0000000001.png\n/);
  t.is(stdout.trim().split('\n').length, FILES.length);
});

test('a name that a header has no place for is refused', (t) => {
  t.throws(() => tarOf([{ path: 'x'.repeat(300), bytes: Buffer.alloc(0) }]), { message: /doesn't fit/ });
});
