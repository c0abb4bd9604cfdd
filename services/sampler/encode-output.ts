/** A finished image in the format that was asked for. */

import type { OutputFormat } from '../../shared/contract/index.js';
import { encodeImage, toUint8, type ImageShape } from '../../shared/images/index.js';

/** @param image [H, W, C] float32, nominally in [-1, 1]. */
export async function encodeOutput(
  image: Float32Array,
  shape: ImageShape,
  format: OutputFormat,
): Promise<Uint8Array> {
  switch (format) {
    case 'png':
    case 'webp':
      return encodeImage(toUint8(image), shape, format);
    case 'raw_float32':
      return littleEndian(image);
  }
}

function littleEndian(values: Float32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.byteLength));
  values.forEach((value, i) => {
    view.setFloat32(4 * i, value, true);
  });
  return new Uint8Array(view.buffer);
}
