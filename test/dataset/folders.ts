/** Temporary folders and images for the tests of this room. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import sharp from 'sharp';

/** A folder that is removed when the test ends. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dataset-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** An 8x8 PNG whose red channel is `value`, brighter from left to right in green. */
export async function pngOf(value: number, width = 8, height = 8): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 3);
  for (let n = 0; n < width * height; n++) pixels.set([value, (n % width) * 8, 7], n * 3);
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** Writes a file, with the folders that it needs. */
export async function put(folder: string, path: string, bytes: Uint8Array | string): Promise<string> {
  const place = join(folder, path);
  await mkdir(dirname(place), { recursive: true });
  await writeFile(place, bytes);
  return place;
}

/** A folder of `count` images whose red channels are 0, 1, 2, ... in byte order. */
export async function folderOf(t: ExecutionContext, count: number): Promise<string> {
  const folder = await temporaryFolder(t);
  for (let n = 0; n < count; n++) await put(folder, `${String(n).padStart(4, '0')}.png`, await pngOf(n));
  return folder;
}
