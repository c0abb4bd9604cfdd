/** The process that draws trusted SVG files. */
import { open, readFile } from 'node:fs/promises';
import type { RasteriseMessage, RasteriseRequest } from './rasterise-svg.js';
import { sharp, UNIT_DENSITY } from './svg-sharp.js';

const PROGRESS_EVERY = 32;

async function rasterise(svg: Uint8Array, request: RasteriseRequest): Promise<Uint8Array> {
  const { imageSize, channels, drawingSize } = request;
  return sharp(svg, { density: (UNIT_DENSITY * imageSize) / drawingSize })
    .resize(imageSize, imageSize, { fit: 'contain', background: '#ffffff' })
    .flatten({ background: '#ffffff' })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
}

async function run(request: RasteriseRequest): Promise<void> {
  const output = await open(request.outputPath, 'w');
  try {
    for (const [index, file] of request.files.entries()) {
      await output.write(await rasterise(await readFile(file), request));
      if ((index + 1) % PROGRESS_EVERY === 0) send({ kind: 'progress', done: index + 1 });
    }
    await output.sync();
  } finally {
    await output.close();
  }
}

function send(message: RasteriseMessage, then?: () => void): void {
  process.send?.(message, undefined, {}, then);
}

async function answer(request: RasteriseRequest): Promise<RasteriseMessage> {
  try {
    await run(request);
    return { kind: 'finished' };
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

process.once('message', (request: RasteriseRequest) => {
  void answer(request).then((message) => {
    send(message, () => {
      process.disconnect();
    });
  });
});

// The parent is gone, so nobody wants the rest.
process.once('disconnect', () => process.exit());
