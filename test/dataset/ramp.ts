/** A data set whose images show their positions. */
import type { Dataset } from '../../shared/dataset/index.js';

export const WIDTH = 3;
const HEIGHT = 2;
export const IMAGE_BYTES = WIDTH * HEIGHT;

/** Images whose bytes are 10 n + x: the index can be read off, and the direction too. */
export function rampDataset(length: number, labelled = true, sha256 = ''): Dataset {
  const image = (index: number) => Array.from({ length: IMAGE_BYTES }, (_, n) => index * 10 + (n % WIDTH));
  return {
    manifest: {
      count: length,
      skipped: [],
      sizes: { minWidth: WIDTH, maxWidth: WIDTH, minHeight: HEIGHT, maxHeight: HEIGHT },
      classNames: [],
      sha256,
    },
    length,
    imageShape: { width: WIDTH, height: HEIGHT, channels: 1 },
    ...(labelled && { labels: Int32Array.from({ length }, (_, n) => n * 100) }),
    read: (indices) => Promise.resolve(Uint8Array.from(Array.from(indices).flatMap(image))),
    close: () => Promise.resolve(),
  };
}

/** The places of the images in these pixels. */
export function indicesIn(pixels: Uint8Array): number[] {
  return Array.from({ length: pixels.length / IMAGE_BYTES }, (_, n) =>
    Math.floor((pixels[n * IMAGE_BYTES] ?? 0) / 10),
  );
}
