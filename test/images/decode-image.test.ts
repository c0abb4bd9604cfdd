/** Every kind of image that a user may have, and everything that pretends to be one. */
import { deflateSync } from 'node:zlib';
import test from 'ava';
import sharp from 'sharp';
import { DiffusionError } from '../../shared/foundation/index.js';
import { decodeImage } from '../../shared/images/index.js';

const SIZE = 16;

/** Left half red, right half blue, `[height, width, 3]`. */
function halves(width: number, height: number): Buffer {
  const pixels = Buffer.alloc(width * height * 3);
  for (let n = 0; n < width * height; n++) pixels[n * 3 + (n % width < width / 2 ? 0 : 2)] = 255;
  return pixels;
}

function source(width = 32, height = 32) {
  return sharp(halves(width, height), { raw: { width, height, channels: 3 } });
}

async function decode(bytes: Uint8Array, channels: 1 | 3 = 3): Promise<Uint8Array> {
  const { pixels } = await decodeImage(bytes, { imageSize: SIZE, channels });
  return pixels;
}

function pixel(pixels: Uint8Array, x: number, y: number, channels = 3): number[] {
  return [...pixels.subarray((y * SIZE + x) * channels, (y * SIZE + x + 1) * channels)];
}

async function refusal(bytes: Uint8Array): Promise<string> {
  try {
    await decode(bytes);
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'INVALID_ARGUMENT') return error.reason;
    throw error;
  }
  return 'accepted';
}

/** As PNG has it; zlib.crc32 is missing in the oldest Node that is supported. */
function crc32(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

/** A PNG of one grey level and any size, made by hand because the encoder here would need all its pixels. */
function flatPng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const rows = deflateSync(Buffer.alloc((width + 1) * height), { level: 1 });
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

for (const [format, make] of Object.entries({
  PNG: () => source().png().toBuffer(),
  'palette PNG': () => source().png({ palette: true }).toBuffer(),
  '16-bit PNG': () => source().toColourspace('rgb16').png().toBuffer(),
  JPEG: () => source().jpeg({ quality: 100 }).toBuffer(),
  'progressive JPEG': () => source().jpeg({ quality: 100, progressive: true }).toBuffer(),
  WebP: () => source().webp({ lossless: true }).toBuffer(),
  'opaque RGBA PNG': () => source().ensureAlpha().png().toBuffer(),
})) {
  test(`${format} decodes to the colours that went in [fault 51]`, async (t) => {
    const pixels = await decode(await make());
    t.is(pixels.length, SIZE * SIZE * 3);
    const near = (found: number[], wanted: number[]) =>
      found.every((v, i) => Math.abs(v - (wanted[i] ?? 0)) <= 3);
    t.true(near(pixel(pixels, 2, 8), [255, 0, 0]), `left: ${pixel(pixels, 2, 8).join()}`);
    t.true(near(pixel(pixels, 13, 8), [0, 0, 255]), `right: ${pixel(pixels, 13, 8).join()}`);
  });
}

test('a CMYK JPEG decodes to three channels of about its colours [fault 51]', async (t) => {
  const bytes = await source().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
  t.is((await sharp(bytes).metadata()).space, 'cmyk');
  const [red = 0, , blue = 0] = pixel(await decode(bytes), 2, 8);
  t.true(red > 150 && blue < 100);
});

test('a grey image decodes to three equal channels, or to one when one is wanted [fault 51]', async (t) => {
  const bytes = await sharp(Buffer.alloc(1024, 100), { raw: { width: 32, height: 32, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
  t.deepEqual(pixel(await decode(bytes), 5, 5), [100, 100, 100]);
  t.deepEqual(pixel(await decode(bytes, 1), 5, 5, 1), [100]);
});

test('a colour image becomes one channel when one is wanted', async (t) => {
  t.is((await decode(await source().png().toBuffer(), 1)).length, SIZE * SIZE);
});

test('transparent pixels lie on white, at 8 and at 16 bits [fault 51]', async (t) => {
  const clear = {
    create: { width: 32, height: 32, channels: 4, background: { r: 200, g: 0, b: 0, alpha: 0 } },
  } as const;
  t.deepEqual(pixel(await decode(await sharp(clear).png().toBuffer()), 8, 8), [255, 255, 255]);
  const deep = await sharp(clear).toColourspace('rgb16').png().toBuffer();
  t.deepEqual(pixel(await decode(deep), 8, 8), [255, 255, 255]);
});

test('EXIF orientation is applied before the crop [fault 52]', async (t) => {
  // Orientation 6 says: turn clockwise to see it upright. Left becomes top.
  const bytes = await source(64, 32).withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer();
  const { pixels, sourceWidth, sourceHeight } = await decodeImage(bytes, { imageSize: SIZE, channels: 3 });
  t.deepEqual([sourceWidth, sourceHeight], [32, 64]);
  const [top, bottom] = [pixel(pixels, 8, 2), pixel(pixels, 8, 13)];
  t.true((top[0] ?? 0) > 200 && (bottom[2] ?? 0) > 200);
});

test('the middle square is kept', async (t) => {
  // Red, green, blue in thirds: only green is left.
  const pixels = Buffer.alloc(96 * 32 * 3);
  for (let n = 0; n < 96 * 32; n++) pixels[n * 3 + Math.floor((n % 96) / 32)] = 255;
  const bytes = await sharp(pixels, { raw: { width: 96, height: 32, channels: 3 } })
    .png()
    .toBuffer();
  const decoded = await decode(bytes);
  t.deepEqual(pixel(decoded, 4, 8), [0, 255, 0]);
  t.deepEqual(pixel(decoded, 11, 8), [0, 255, 0]);
});

test('an image of the wanted size comes through unchanged', async (t) => {
  const noise = Buffer.from(Array.from({ length: SIZE * SIZE * 3 }, (_, n) => (n * 7919) % 256));
  const bytes = await sharp(noise, { raw: { width: SIZE, height: SIZE, channels: 3 } })
    .png()
    .toBuffer();
  t.deepEqual(Buffer.from(await decode(bytes)), noise);
});

test('an animated WebP gives its first frame [fault 53]', async (t) => {
  const frames = Buffer.concat([Buffer.alloc(32 * 32 * 3, 10), Buffer.alloc(32 * 32 * 3, 240)]);
  const bytes = await sharp(frames, { raw: { width: 32, height: 64, channels: 3, pageHeight: 32 } })
    .webp({ lossless: true, loop: 0, delay: [50, 50] })
    .toBuffer();
  t.is((await sharp(bytes).metadata()).pages, 2);
  t.deepEqual(pixel(await decode(bytes), 8, 8), [10, 10, 10]);
});

test('no bytes are IMAGE_EMPTY [fault 47]', async (t) => {
  t.is(await refusal(new Uint8Array(0)), 'IMAGE_EMPTY');
});

test('text and HTML are IMAGE_UNSUPPORTED [fault 48]', async (t) => {
  t.is(await refusal(Buffer.from('not an image at all, only words')), 'IMAGE_UNSUPPORTED');
  t.is(await refusal(Buffer.from('<!doctype html><html><body>404</body></html>')), 'IMAGE_UNSUPPORTED');
});

test('SVG, GIF and TIFF are refused in this process [fault 53, 54]', async (t) => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64"/></svg>';
  t.is(await refusal(Buffer.from(svg)), 'IMAGE_UNSUPPORTED');
  t.is(await refusal(await source().gif().toBuffer()), 'IMAGE_UNSUPPORTED');
  t.is(await refusal(await source().tiff().toBuffer()), 'IMAGE_UNSUPPORTED');
});

test('truncated PNG, JPEG and WebP are IMAGE_DAMAGED [fault 49]', async (t) => {
  for (const bytes of [
    await source(200, 200).png().toBuffer(),
    await source(200, 200).jpeg().toBuffer(),
    await source(200, 200).webp().toBuffer(),
  ]) {
    t.is(await refusal(bytes.subarray(0, Math.floor(bytes.length * 0.6))), 'IMAGE_DAMAGED');
  }
});

test('a PNG with a flipped bit is IMAGE_DAMAGED', async (t) => {
  const bytes = await source(64, 64).png().toBuffer();
  const place = bytes.indexOf('IDAT') + 10;
  bytes[place] = (bytes[place] ?? 0) ^ 16;
  t.is(await refusal(bytes), 'IMAGE_DAMAGED');
});

test('a small file of 400 million pixels is IMAGE_TOO_LARGE [fault 55]', async (t) => {
  const bomb = flatPng(20_000, 20_000);
  t.true(bomb.length < 4_000_000);
  t.is(await refusal(bomb), 'IMAGE_TOO_LARGE');
});

test('an image that would be enlarged more than four times is IMAGE_TOO_SMALL [fault 56]', async (t) => {
  t.is(await refusal(flatPng(1, 1)), 'IMAGE_TOO_SMALL');
  t.is(await refusal(flatPng(1, 16_000)), 'IMAGE_TOO_SMALL');
  t.is(await refusal(flatPng(3, 3)), 'IMAGE_TOO_SMALL');
  t.is(await refusal(flatPng(4, 4)), 'accepted');
});
