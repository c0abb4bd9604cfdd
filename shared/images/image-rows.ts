/** Images side by side in a row, and rows one above the other: the same places can be compared by eye. */
import { invalidArgument, violation } from '../foundation/index.js';
import { decodeWhole } from './decode-image.js';
import { encodeImage } from './encode-image.js';
import type { ImageShape } from './pixel-format.js';

/** The first images of a set. */
export interface ImageRow {
  readonly images: number;
  /** The images side by side, all of one size, without gaps; no pixel is enlarged. */
  readonly png: Uint8Array;
}

const MOST_IMAGES = 16;
/** A row is a small part of a message or a page, whatever the size of its images. */
const MOST_PIXELS = 2 ** 17;

/** How many images of a shape a row has at most; at least one. */
export function imagesInRow({ width, height }: Pick<ImageShape, 'width' | 'height'>): number {
  return Math.max(1, Math.min(MOST_IMAGES, Math.floor(MOST_PIXELS / (width * height))));
}

/**
 * @param images [height, width, channels] uint8 each.
 * @throws DiffusionError INVALID_ARGUMENT where there is no image, or one has the wrong number of bytes.
 */
export async function imageRow(images: readonly Uint8Array[], shape: ImageShape): Promise<ImageRow> {
  const { width, height, channels } = shape;
  const stride = width * channels;
  const pixels = new Uint8Array(images.length * height * stride);
  if (images.length === 0) throw invalidArgument([violation('images', 'at least one image', 0)]);
  for (const [index, image] of images.entries()) {
    if (image.length !== height * stride) {
      const wanted = `${height} x ${width} x ${channels} bytes`;
      throw invalidArgument([violation(`images[${index}]`, wanted, image.length)]);
    }
    for (let y = 0; y < height; y++)
      pixels.set(image.subarray(y * stride, (y + 1) * stride), (y * images.length + index) * stride);
  }
  const png = await encodeImage(pixels, { width: images.length * width, height, channels }, 'png');
  return { images: images.length, png };
}

const GAP = 2;
/** Images are enlarged to about this height. */
const SHOWN_HEIGHT = 64;

/** The rows one above the other as one PNG, on white: pixels enlarged to squares, with gaps. @throws as `decodeWhole`. */
export async function stackedRows(rows: readonly ImageRow[]): Promise<Uint8Array> {
  const decoded = await Promise.all(
    rows.map(async ({ images, png }) => {
      const { pixels, shape } = await decodeWhole(png);
      const scale = Math.max(1, Math.round(SHOWN_HEIGHT / shape.height));
      return { images, pixels, shape, scale, imageWidth: Math.floor(shape.width / images) };
    }),
  );
  const width = Math.max(
    ...decoded.map(({ images, imageWidth, scale }) => GAP + images * (imageWidth * scale + GAP)),
  );
  const height = decoded.reduce((sum, { shape, scale }) => sum + shape.height * scale + GAP, GAP);
  const canvas = new Uint8Array(width * height * 3).fill(255);
  let top = GAP;
  for (const { images, pixels, shape, scale, imageWidth } of decoded) {
    for (let y = 0; y < shape.height * scale; y++)
      for (let x = 0; x < images * imageWidth * scale; x++) {
        const column = Math.floor(x / scale);
        const from = (Math.floor(y / scale) * shape.width + column) * 3;
        const left = GAP + x + Math.floor(column / imageWidth) * GAP;
        canvas.set(pixels.subarray(from, from + 3), ((top + y) * width + left) * 3);
      }
    top += shape.height * scale + GAP;
  }
  return encodeImage(canvas, { width, height, channels: 3 }, 'png');
}
