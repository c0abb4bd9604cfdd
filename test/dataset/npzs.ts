/** Archives as numpy.savez writes them, right ones and wrong ones. */
import { storedZip } from '../interchange/archives.js';

/** An array in NumPy's format, version 1.0. */
export function npyOf(descr: string, shape: readonly number[], values: Uint8Array, order = 'False'): Buffer {
  const tuple = shape.length === 1 ? `${shape.join()},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${tuple}), }`;
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, padded.length & 255, padded.length >> 8]);
  return Buffer.concat([start, Buffer.from(padded), values]);
}

/** Images of one size whose red channels are the given numbers. */
export function imagesOf(reds: readonly number[], size = 8): Buffer {
  const pixels = Buffer.alloc(reds.length * size * size * 3, 7);
  reds.forEach((red, n) => {
    for (let p = 0; p < size * size; p++) pixels[(n * size * size + p) * 3] = red;
  });
  return npyOf('|u1', [reds.length, size, size, 3], pixels);
}

export function labelsOf(labels: readonly (number | bigint)[]): Buffer {
  const values = BigInt64Array.from(labels, BigInt);
  return npyOf('<i8', [labels.length], new Uint8Array(values.buffer));
}

export function npzOf(arrays: Readonly<Record<string, Uint8Array>>): Buffer {
  return storedZip(Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`${name}.npy`, array])));
}
