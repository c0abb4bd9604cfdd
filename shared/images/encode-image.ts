/** Pixels -> PNG or WebP, without loss. */
import { invalidArgument, violation } from '../foundation/index.js';
import type { ImageShape } from './pixel-format.js';
import { sharp } from './sharp.js';

export type ImageFormat = 'png' | 'webp';

/**
 * Encodes `[height, width, channels]` uint8 pixels losslessly; the same pixels give the same bytes, without metadata.
 * A grey WebP decodes to three equal channels, because WebP has no grey.
 *
 * @throws DiffusionError INVALID_ARGUMENT when the number of pixels isn't the shape's.
 */
export async function encodeImage(
  pixels: Uint8Array,
  shape: ImageShape,
  format: ImageFormat,
): Promise<Uint8Array> {
  const { width, height, channels } = shape;
  if (pixels.length !== width * height * channels) {
    throw invalidArgument([violation('pixels', `${width} x ${height} x ${channels} bytes`, pixels.length)]);
  }
  const image = sharp(pixels, { raw: { width, height, channels } }).toColourspace(
    channels === 1 ? 'b-w' : 'srgb',
  );
  switch (format) {
    case 'png':
      return image.png({ compressionLevel: 9 }).toBuffer();
    case 'webp':
      return image.webp({ lossless: true }).toBuffer();
  }
}
