/** Many small images -> one picture to look at. */
import { invalidArgument, violation } from '../foundation/index.js';
import { encodeImage } from './encode-image.js';
import type { Channels } from './pixel-format.js';

export interface ImageGridOptions {
  /** Height and width of each image, in pixels. */
  readonly size: number;
  readonly channels: Channels;
  readonly columns: number;
  /** Each pixel becomes a square of this width and height. */
  readonly scale: number;
  /** White pixels between images and around them. */
  readonly gap: number;
}

/**
 * Lays `[size, size, channels]` uint8 images out row by row on white, each pixel enlarged to a square, as a PNG.
 *
 * @throws DiffusionError INVALID_ARGUMENT when there is no image, or one has the wrong number of bytes.
 */
export async function imageGrid(
  images: readonly Uint8Array[],
  options: ImageGridOptions,
): Promise<Uint8Array> {
  const { size, channels, scale, gap } = options;
  if (images.length === 0) throw invalidArgument([violation('images', 'at least one image', 0)]);
  const columns = Math.min(options.columns, images.length);
  const cell = size * scale + gap;
  const width = columns * cell + gap;
  const height = Math.ceil(images.length / columns) * cell + gap;
  const canvas = new Uint8Array(width * height * channels).fill(255);
  for (const [index, image] of images.entries()) {
    if (image.length !== size * size * channels) {
      throw invalidArgument([
        violation(`images[${index}]`, `${size} x ${size} x ${channels} bytes`, image.length),
      ]);
    }
    const left = gap + (index % columns) * cell;
    const top = gap + Math.floor(index / columns) * cell;
    const enlarged = enlarge(image, options);
    const rowBytes = size * scale * channels;
    for (let y = 0; y < size * scale; y++) {
      canvas.set(enlarged.subarray(y * rowBytes, (y + 1) * rowBytes), ((top + y) * width + left) * channels);
    }
  }
  return encodeImage(canvas, { width, height, channels }, 'png');
}

function enlarge(image: Uint8Array, { size, channels, scale }: ImageGridOptions): Uint8Array {
  const side = size * scale;
  const enlarged = new Uint8Array(side * side * channels);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = (Math.floor(y / scale) * size + Math.floor(x / scale)) * channels;
      enlarged.set(image.subarray(from, from + channels), (y * side + x) * channels);
    }
  }
  return enlarged;
}
