/** Rows of images, and rows one above the other. */
import test from 'ava';
import { decodeWhole, imageRow, imagesInRow, stackedRows } from '../../shared/images/index.js';

const grey = (value: number) => new Uint8Array(2 * 3).fill(value);
const shape = { width: 2, height: 3, channels: 1 } as const;

test('images stand side by side, each as it was', async (t) => {
  const { images, png } = await imageRow([grey(10), grey(200)], shape);
  const { pixels, shape: found } = await decodeWhole(png);
  t.deepEqual([images, found.width, found.height], [2, 4, 3]);
  const row = [10, 10, 200, 200].flatMap((value) => [value, value, value]);
  t.deepEqual([...pixels], [...row, ...row, ...row]);
  await t.throwsAsync(imageRow([], shape), { message: /images: wanted at least one/ });
  await t.throwsAsync(imageRow([grey(1), new Uint8Array(5)], shape), { message: /images\[1\]/ });
});

test('a row has fewer of large images, and at least one', (t) => {
  const square = (side: number) => imagesInRow({ width: side, height: side });
  t.deepEqual([8, 64, 128, 256, 4096].map(square), [16, 16, 8, 2, 1]);
});

test('stacked rows have the same places one below the other, with white between them', async (t) => {
  const rows = [await imageRow([grey(0), grey(0)], shape), await imageRow([grey(0)], shape)];
  const { pixels, shape: found } = await decodeWhole(await stackedRows(rows));
  // 3 pixels of height become 63: 21 for each; images are 42 wide.
  t.deepEqual([found.width, found.height], [2 + 2 * 44, 2 + 2 * 65]);
  const at = (x: number, y: number) => pixels[(y * found.width + x) * 3];
  t.deepEqual([at(0, 0), at(2, 2), at(43, 2), at(44, 2), at(46, 64), at(46, 65)], [255, 0, 0, 255, 0, 255]);
  t.deepEqual([at(2, 67), at(46, 67)], [0, 255], 'the second row has one image');
});
