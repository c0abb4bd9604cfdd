/** What an array of pixels means, and the two ways between bytes and the model's numbers. */

/** Grey or red, green, blue. */
export type Channels = 1 | 3;

/** The shape of one image; its pixels are `[height, width, channels]` uint8, interleaved. */
export interface ImageShape {
  readonly width: number;
  readonly height: number;
  readonly channels: Channels;
}

/**
 * Turns uint8 pixels into float32 in [-1, 1]: x / 127.5 - 1, rounded to float32 after each operation.
 * Source: guided_diffusion/image_datasets.py, `__getitem__`.
 */
export function toFloat32(pixels: Uint8Array): Float32Array {
  // A loop: `from` with a function takes twenty times as long.
  const values = new Float32Array(pixels.length);
  for (let i = 0; i < values.length; i++) values[i] = Math.fround((pixels[i] ?? NaN) / 127.5) - 1;
  return values;
}

/**
 * Turns float32 in [-1, 1] into uint8: (x + 1) * 127.5, clamped to [0, 255] and truncated, not rounded, so that
 * `toUint8(toFloat32(v))` can be v - 1. NaN becomes 0.
 * Source: scripts/image_sample.py, `main`.
 */
export function toUint8(values: Float32Array): Uint8Array {
  const pixels = new Uint8Array(values.length);
  for (let i = 0; i < pixels.length; i++) {
    const scaled = Math.fround(Math.fround((values[i] ?? NaN) + 1) * 127.5);
    pixels[i] = Math.min(255, Math.max(0, scaled));
  }
  return pixels;
}
