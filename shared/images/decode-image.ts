/** Bytes of a PNG, JPEG or WebP file -> square uint8 pixels. */
import type { Metadata, Sharp } from 'sharp';
import { DiffusionError, type InvalidReason } from '../foundation/index.js';
import type { Channels, ImageShape } from './pixel-format.js';
import { sharp } from './sharp.js';

/** The largest image that is decoded, in pixels; a bomb is refused by its header. */
const MAX_PIXELS = 4096 * 4096;

/** The most an image may be enlarged; a network would only learn the resizing kernel from larger factors. */
const MAX_ENLARGEMENT = 4;

/** Names the way from bytes to pixels below; it belongs to a data set's identity, so change it with the way. */
export const decodingRecipe = 'orient, srgb, white, cover cubic, centre, v1';

export interface DecodeOptions {
  /** Height and width of the result, in pixels. */
  readonly imageSize: number;
  readonly channels: Channels;
}

export interface DecodedImage {
  /** `[imageSize, imageSize, channels]` uint8. */
  readonly pixels: Uint8Array;
  /** Width and height of the source after its orientation was applied, in pixels. */
  readonly sourceWidth: number;
  readonly sourceHeight: number;
}

/**
 * Decodes the first frame of a PNG, JPEG or WebP, turns it upright, lays it on white, scales its shorter side to
 * `imageSize` and keeps the middle square.
 *
 * @throws DiffusionError INVALID_ARGUMENT with reason IMAGE_EMPTY, IMAGE_UNSUPPORTED, IMAGE_DAMAGED (truncated or
 * corrupt), IMAGE_TOO_LARGE (over 4096 x 4096 pixels) or IMAGE_TOO_SMALL (would be enlarged more than four times).
 *
 * Source: guided_diffusion/image_datasets.py, `center_crop_arr`.
 * Why: one resize by libvips (box shrink, then antialiased Catmull-Rom) for the reference's box halvings and Pillow's
 * bicubic; alpha becomes white where the reference drops it and shows whatever colour lay under it.
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions): Promise<DecodedImage> {
  return decoded(bytes, async (image, source) => {
    checkLargeEnough(source, options.imageSize);
    const pixels = await toSquare(image, options).raw({ depth: 'uchar' }).toBuffer();
    return { pixels, sourceWidth: source.width, sourceHeight: source.height };
  });
}

/**
 * Decodes an image as `decodeImage` does, but leaves its size as it is.
 *
 * @returns `[height, width, 3]` uint8 with its shape.
 * @throws DiffusionError as `decodeImage`, but for IMAGE_TOO_SMALL.
 */
export async function decodeWhole(
  bytes: Uint8Array,
): Promise<{ readonly pixels: Uint8Array; readonly shape: ImageShape }> {
  return decoded(bytes, async (image, { width, height }) => {
    const upright = image.autoOrient().flatten({ background: '#ffffff' }).toColourspace('srgb');
    return {
      pixels: await upright.raw({ depth: 'uchar' }).toBuffer(),
      shape: { width, height, channels: 3 },
    };
  });
}

async function decoded<T>(
  bytes: Uint8Array,
  use: (image: Sharp, source: Metadata['autoOrient']) => Promise<T>,
): Promise<T> {
  if (bytes.length === 0) throw refused('IMAGE_EMPTY', 'wanted a PNG, JPEG or WebP image; got 0 bytes');
  try {
    const image = sharp(bytes, {
      failOn: 'warning',
      limitInputPixels: MAX_PIXELS,
      pages: 1,
      sequentialRead: true,
    });
    const { autoOrient } = await image.metadata();
    return await use(image, autoOrient);
  } catch (error) {
    throw error instanceof DiffusionError ? error : fromSharp(error);
  }
}

/** Names the way from pixels to pixels below, as `decodingRecipe` does. */
export const fittingRecipe = 'srgb, cover cubic, centre, v1';

/**
 * Scales and crops the pixels of an image as `decodeImage` does; one that has the size already stays as it is.
 *
 * @param pixels `[height, width, channels]` uint8.
 * @returns `[imageSize, imageSize, channels]` uint8.
 * @throws DiffusionError INVALID_ARGUMENT with reason IMAGE_TOO_LARGE or IMAGE_TOO_SMALL.
 */
export async function fitPixels(
  pixels: Uint8Array,
  shape: ImageShape,
  options: DecodeOptions,
): Promise<Uint8Array> {
  try {
    const image = sharp(pixels, { raw: shape, limitInputPixels: MAX_PIXELS });
    checkLargeEnough(shape, options.imageSize);
    return await toSquare(image, options).raw({ depth: 'uchar' }).toBuffer();
  } catch (error) {
    throw error instanceof DiffusionError ? error : fromSharp(error);
  }
}

function toSquare(image: Sharp, { imageSize, channels }: DecodeOptions): Sharp {
  return image
    .autoOrient()
    .flatten({ background: '#ffffff' })
    .resize(imageSize, imageSize, {
      fit: 'cover',
      position: 'centre',
      kernel: 'cubic',
      // JPEG's shrink-on-load differs from its decoder in more than speed.
      fastShrinkOnLoad: false,
    })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb');
}

function checkLargeEnough(
  { width, height }: Pick<Metadata['autoOrient'], 'width' | 'height'>,
  imageSize: number,
): void {
  const least = Math.ceil(imageSize / MAX_ENLARGEMENT);
  if (Math.min(width, height) >= least) return;
  const wanted = `an image of at least ${least}x${least} for size ${imageSize}`;
  throw refused('IMAGE_TOO_SMALL', `wanted ${wanted}; got ${width}x${height}`);
}

/** sharp's errors carry no codes, only text. */
function fromSharp(error: unknown): DiffusionError {
  const text = error instanceof Error ? error.message : String(error);
  if (text.includes('exceeds pixel limit'))
    return refused('IMAGE_TOO_LARGE', `wanted at most ${MAX_PIXELS} pixels`, error);
  if (text.includes('unsupported image format')) {
    return refused('IMAGE_UNSUPPORTED', 'wanted a PNG, JPEG or WebP image; got another format', error);
  }
  return refused(
    'IMAGE_DAMAGED',
    `wanted a whole image; got ${text.replace(/\s+/g, ' ').slice(0, 200)}`,
    error,
  );
}

function refused(reason: InvalidReason, message: string, cause?: unknown): DiffusionError {
  return new DiffusionError(reason, message, { cause });
}
