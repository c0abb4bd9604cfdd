/** Drawings are rasterised elsewhere, and only there. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { drawingToPng, rasteriseSvgFiles } from '../../shared/images/index.js';

const HALF =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 36"><path fill="#f00" d="M0 0h18v36H0z"/></svg>';

async function folder(t: { teardown(work: () => Promise<void>): void }): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'rasterise-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('drawings become pixels on white, in order, with progress', async (t) => {
  const place = await folder(t);
  const file = join(place, 'half.svg');
  await writeFile(file, HALF);
  const outputPath = join(place, 'pixels');
  const seen: number[] = [];
  const files = Array.from({ length: 40 }, () => file);
  await rasteriseSvgFiles({ files, drawingSize: 36, imageSize: 8, channels: 3, outputPath }, (done) =>
    seen.push(done),
  );
  const pixels = await readFile(outputPath);
  t.is(pixels.length, 40 * 8 * 8 * 3);
  const row = [255, 0, 0];
  t.deepEqual(
    [...pixels.subarray(0, 24)],
    [...row, ...row, ...row, ...row, ...Array.from({ length: 12 }, () => 255)],
  );
  t.deepEqual(pixels.subarray(-192), pixels.subarray(0, 192));
  t.deepEqual(seen, [32]);
});

test('that process loads nothing but SVG, and says why it failed', async (t) => {
  const place = await folder(t);
  const file = join(place, 'not-a-drawing.svg');
  await writeFile(file, Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64'));
  const request = {
    files: [file],
    drawingSize: 36,
    imageSize: 8,
    channels: 3,
    outputPath: join(place, 'p'),
  } as const;
  const error = await t.throwsAsync(rasteriseSvgFiles(request, () => undefined));
  t.like(error, { code: 'INTERNAL', reason: 'RASTERISE_FAILED' });
  t.regex(error.message, /unsupported image format/);
});

test('cancelling ends the process', async (t) => {
  const place = await folder(t);
  const file = join(place, 'half.svg');
  await writeFile(file, HALF);
  const controller = new AbortController();
  const files = Array.from({ length: 100_000 }, () => file);
  const request = {
    files,
    drawingSize: 36,
    imageSize: 8,
    channels: 3,
    outputPath: join(place, 'p'),
  } as const;
  const work = rasteriseSvgFiles(
    request,
    () => {
      controller.abort();
    },
    controller.signal,
  );
  t.like(await t.throwsAsync(work), { code: 'CANCELLED' });
});

test('a file that is not a drawing is refused with the reason', async (t) => {
  const error = await t.throwsAsync(drawingToPng('<svg', 1));
  t.like(error, { code: 'INTERNAL', reason: 'RASTERISE_FAILED' });
});
