/** What the room draws and encodes, read back. */
import test from 'ava';
import fc from 'fast-check';
import sharp from 'sharp';
import { encodeImage, imageGrid, toFloat32, toUint8 } from '../../shared/images/index.js';
import type { Channels } from '../../shared/images/index.js';

async function decoded(bytes: Uint8Array) {
  return sharp(bytes).raw().toBuffer({ resolveWithObject: true });
}

for (const format of ['png', 'webp'] as const) {
  test(`${format} gives back the pixels that went in, and the same bytes each time`, async (t) => {
    const channels = fc.constantFrom<Channels>(1, 3);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        channels,
        fc.nat(),
        async (width, height, C, seed) => {
          const pixels = Uint8Array.from(
            { length: width * height * C },
            (_, n) => ((n + 1) * (seed + 1)) % 251,
          );
          const bytes = await encodeImage(pixels, { width, height, channels: C }, format);
          t.deepEqual(await encodeImage(pixels, { width, height, channels: C }, format), bytes);
          const { data, info } = await decoded(bytes);
          t.deepEqual([info.width, info.height], [width, height]);
          const copies = info.channels / C;
          t.deepEqual(
            [...data].filter((_, n) => n % copies === 0),
            [...pixels],
          );
        },
      ),
      { numRuns: 20 },
    );
  });
}

test('an image with too few bytes is refused by name', async (t) => {
  const error = await t.throwsAsync(
    encodeImage(new Uint8Array(5), { width: 2, height: 2, channels: 3 }, 'png'),
  );
  t.regex(error.message, /pixels: wanted 2 x 2 x 3 bytes; got 5/);
});

test('toUint8 clamps and truncates', (t) => {
  const values = Float32Array.of(-2, -1, -0.9922, 0, 0.5, 0.9999, 1, 7, Infinity, -Infinity, NaN);
  t.deepEqual([...toUint8(values)], [0, 0, 0, 127, 191, 254, 255, 255, 255, 0, 0]);
});

test('every byte survives the way to float32 and back but for one lost to truncation', (t) => {
  const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
  const values = toFloat32(bytes);
  t.is(values[0], -1);
  t.is(values[255], 1);
  const back = toUint8(values);
  for (const [n, byte] of bytes.entries()) t.true(byte - (back[n] ?? 0) === 0 || byte - (back[n] ?? 0) === 1);
});

test('a grid places each image in its cell, enlarged, on white', async (t) => {
  const images = [0, 50, 100].map((value) => new Uint8Array(2 * 2 * 3).fill(value));
  const { data, info } = await decoded(
    await imageGrid(images, { size: 2, channels: 3, columns: 2, scale: 3, gap: 1 }),
  );
  t.deepEqual([info.width, info.height], [15, 15]);
  const grey = (x: number, y: number) => data[(y * 15 + x) * 3];
  t.deepEqual(
    [grey(0, 0), grey(1, 1), grey(6, 6), grey(7, 1), grey(8, 1), grey(1, 8), grey(8, 8)],
    [255, 0, 0, 255, 50, 100, 255],
  );
});
