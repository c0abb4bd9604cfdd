/** Parts of a pack: what is carried whole comes out as it was, and what is not is named. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';
import type { ExecutionContext } from 'ava';
import { create } from 'tar';

import { filesUnder } from '../../deploy/setup/digests.js';
import { writeParts } from './parts.js';

const MOST_BYTES = 160 * 1024;

const FILES: Readonly<Record<string, Buffer>> = {
  program: randomBytes(150 * 1024),
  'node_modules/a/index.js': Buffer.from('module.exports = 1;\n'),
  'node_modules/empty': Buffer.alloc(0),
};

/** A folder with the parts of `FILES`. */
async function packed(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'parts-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const [from, compressed, place] = ['from', 'compressed', 'place'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const [name, content] of Object.entries(FILES)) {
    mkdirSync(join(from, name, '..'), { recursive: true });
    writeFileSync(join(from, name), content);
  }
  chmodSync(join(from, 'program'), 0o755);
  execFileSync('python3', [join(import.meta.dirname, 'compress.py'), from, compressed, 'most']);
  const file = join(folder, 'pack.tar');
  await create({ file, cwd: compressed, portable: true }, ['.']);
  // Of an earlier pack, which had more.
  mkdirSync(join(place, 'part-9'), { recursive: true });
  const parts = await writeParts(file, place, MOST_BYTES);
  const target = join(folder, 'target');
  const joined = () => {
    const { status, stderr } = spawnSync('python3', [join(place, 'part-1', 'join.py'), target], {
      encoding: 'utf8',
    });
    return { status, stderr };
  };
  return { place, parts, target, joined };
}

test('parts are at most as large as may be carried, and give every file again', async (t) => {
  const { place, parts, target, joined } = await packed(t);
  t.deepEqual(
    parts.map(({ name }) => name),
    ['part-1', 'part-2'],
  );
  t.deepEqual(await filesUnder(place), [
    'part-1/join.py',
    'part-1/parts.json',
    'part-1/piece',
    'part-2/piece',
  ]);
  for (const { name } of parts) {
    const files = await filesUnder(join(place, name));
    const size = files.reduce((sum, file) => sum + statSync(join(place, name, file)).size, 0);
    t.true(size <= MOST_BYTES, `${name} has ${size} bytes`);
  }
  t.deepEqual(joined(), { status: 0, stderr: '' });
  t.deepEqual(await filesUnder(target), Object.keys(FILES).sort());
  for (const [name, content] of Object.entries(FILES)) {
    t.deepEqual(readFileSync(join(target, name)), content, name);
  }
  t.is(statSync(join(target, 'program')).mode & 0o777, 0o755);
});

test('a part that is missing, and one that is damaged, are named with their hashes, and nothing is unpacked', async (t) => {
  const { place, parts, target, joined } = await packed(t);
  const [first, second] = parts.map(({ sha256 }) => sha256);
  const [piece, other] = parts.map(({ name }) => join(place, name, 'piece')) as [string, string];
  appendFileSync(piece, 'x');
  rmSync(other);
  const got = createHash('sha256').update(readFileSync(piece)).digest('hex');
  t.deepEqual(joined(), {
    status: 1,
    stderr: [
      `part-1 is damaged: wanted SHA-256 ${String(first)} of ${piece}; got ${got}`,
      `part-2 is missing: wanted ${other} with SHA-256 ${String(second)}`,
      'carry these parts here again, each into the folder of its name\n',
    ].join('\n'),
  });
  t.deepEqual(await filesUnder(target), []);
});
