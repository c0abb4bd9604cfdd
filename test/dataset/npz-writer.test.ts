/** Archives that are written are those that are read. */
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openNpz, writeNpz, type NpzArray } from '../../shared/dataset/index.js';
import { fileAccess, openFiles } from '../../shared/store/index.js';

const newFolder = () => mkdtemp(join(tmpdir(), 'npz-writer-'));

const images: NpzArray = {
  ...{ name: 'arr_0', dtype: '|u1', shape: [3, 2, 4, 3] },
  *values() {
    for (let n = 0; n < 3; n++) yield Uint8Array.from({ length: 24 }, (_, i) => 30 * n + i);
  },
};

test('what is written can be read, and equal arrays give equal bytes', async (t) => {
  const path = join(await newFolder(), 'whole.npz');
  const mean = Float64Array.of(0.5, -1e300);
  const bytes = new Uint8Array(mean.buffer);
  const statistics: NpzArray = {
    name: 'mu',
    dtype: '<f8',
    shape: [2],
    values: () => [bytes.subarray(0, 5), bytes.subarray(5)],
  };
  await writeNpz(path, [images, statistics]);
  const files = await openFiles(path, fileAccess({}), { extension: '.npz' });
  const [file] = (await files.list(() => true)).files;
  if (file === undefined) throw new Error('the archive is not there');
  const npz = await openNpz(files, file, undefined);
  t.deepEqual(npz.names, ['arr_0', 'mu']);
  const { count, shape, pixels } = await npz.images();
  t.deepEqual([count, shape], [3, { width: 4, height: 2, channels: 3 }]);
  let n = 0;
  for await (const image of pixels())
    t.deepEqual(
      [...image],
      Array.from({ length: 24 }, (_, i) => 30 * n + i),
      String(n++),
    );
  t.is(n, 3);
  const { dtype, reader, checkEnd } = await npz.array('mu');
  t.is(dtype, '<f8');
  t.deepEqual(new Float64Array((await reader.take(16)).slice().buffer), mean);
  await t.notThrowsAsync(checkEnd());
  await files.close();

  const again = `${path}.again`;
  await writeNpz(again, [images, statistics]);
  t.deepEqual(await readFile(again), await readFile(path));
});

const failures: readonly (readonly [string, NpzArray['values'], RegExp])[] = [
  [
    'that fail half-way',
    function* () {
      yield new Uint8Array(24);
      throw new Error('no more images');
    },
    /no more images/,
  ],
  ['with too few bytes', () => [new Uint8Array(24)], /unexpected number of bytes/],
  ['with too many bytes', () => [new Uint8Array(96)], /unexpected number of bytes/],
];

for (const [what, values, message] of failures)
  test(`of values ${what} nothing is left`, async (t) => {
    const folder = await newFolder();
    const error = await t.throwsAsync(writeNpz(join(folder, 'part.npz'), [{ ...images, values }]));
    t.regex(error.message, message);
    t.deepEqual(await readdir(folder), []);
  });
