/** What is wrong with an npz, and where. */
import test, { type ExecutionContext } from 'ava';
import type { DatasetManifest } from '../../shared/dataset/index.js';
import { storedZip } from '../interchange/archives.js';
import { imagesOf, labelsOf, npyOf, npzOf } from './npzs.js';
import { folderPlace } from './places.js';
import { refusal, scan } from './scans.js';

async function scanNpz(t: ExecutionContext, npz: Uint8Array, classes = false): Promise<DatasetManifest> {
  const place = await folderPlace(t);
  await place.put('samples.npz', npz);
  return scan(t, { ...place, address: `${place.address}/samples.npz` }, { classes });
}

test('an npz: wrong types, shapes, orders, versions and lengths are named with what was wanted', async (t) => {
  const pixels = new Uint8Array(2 * 8 * 8 * 3);
  const shape = [2, 8, 8, 3];
  const good = imagesOf([1, 2]);
  const patched = (at: number, value: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = value;
    return copy;
  };
  const arrays: readonly [Uint8Array, RegExp][] = [
    [npyOf('<f4', shape, new Uint8Array(4 * pixels.length)), /wanted uint8 of shape \[N, H, W, 3\].*<f4/],
    [npyOf('|u1', [2, 8, 8], pixels.subarray(0, 128)), /wanted uint8 of shape.*\[2, 8, 8\]/],
    [npyOf('|u1', [2, 8, 8, 4], new Uint8Array(512)), /wanted uint8 of shape.*\[2, 8, 8, 4\]/],
    [npyOf('|u1', [2, 3, 8, 8], pixels), /wanted uint8 of shape.*\[2, 3, 8, 8\]/],
    [npyOf('|u1', [1, 5000, 1, 3], new Uint8Array(15_000)), /from 1 to 4096/],
    [npyOf('|u1', [2, 0, 8, 3], new Uint8Array()), /from 1 to 4096/],
    [npyOf('|u1', [4_000_001, 1, 1, 3], new Uint8Array(3)), /at most 4000000 images/],
    [npyOf('|u1', [9, 9, 9, 9, 9, 9, 9, 9, 9], new Uint8Array(3)), /a shape of up to 8 numbers/],
    [npyOf('|u1', shape, pixels, 'True'), /C order/],
    [npyOf('|u1', shape, pixels.subarray(1)), /wanted 384 bytes, as its shape needs; got 383/],
    [npyOf('|u1', shape, Buffer.concat([pixels, pixels])), /wanted 384 bytes, as its shape needs; got 768/],
    [npyOf('|O', shape, pixels), /uint8/],
    [Buffer.from('not an array'), /NumPy's format/],
    [good.subarray(0, 9), /a whole header/],
    [patched(6, 9), /version 1, 2 or 3/],
    [patched(9, 255), /a header of at most 10000 bytes/],
  ];
  for (const [array, why] of arrays) {
    const error = await refusal(t, scanNpz(t, npzOf({ arr_0: array })));
    t.like(error, { code: 'FAILED_PRECONDITION', reason: 'DATASET_INVALID' });
    t.regex(error.message, why);
    t.regex(error.message, /samples\.npz/);
  }
});

test('an npz: what is no archive, truncated, damaged or without the arrays is named', async (t) => {
  const good = npzOf({ arr_0: imagesOf([1, 2]) });
  const damaged = Buffer.from(good);
  damaged[300] = (damaged[300] ?? 0) ^ 1;
  const cases: readonly [Uint8Array, RegExp][] = [
    [Buffer.from('no archive'), /a whole archive of numpy\.savez/],
    [new Uint8Array(), /a whole archive of numpy\.savez/],
    [good.subarray(0, good.length - 40), /a whole archive of numpy\.savez/],
    [damaged, /checksum/],
    [npzOf({ images: imagesOf([1]) }), /arr_0.*wanted an array of this name; got "images\.npy"/],
    [storedZip({ 'arr_0.npy': imagesOf([1]) }, { claimed: 1_000_000_000 }), /./],
    [storedZip({ 'arr_0.npy': imagesOf([1]) }, { method: 12 }), /a whole archive of numpy\.savez/],
    [
      npzOf(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`arr_${n}`, Buffer.alloc(1)]))),
      /at most 64 arrays/,
    ],
  ];
  for (const [bytes, why] of cases) {
    const error = await refusal(t, scanNpz(t, bytes));
    t.like(error, { code: 'FAILED_PRECONDITION', reason: 'DATASET_INVALID' });
    t.regex(error.message, why);
  }
});

test('an npz: classes that are missing, of another type or number, or out of range are named', async (t) => {
  const arr_0 = imagesOf([1, 2]);
  const cases: readonly [Record<string, Uint8Array>, RegExp][] = [
    [{}, /arr_1.*wanted an array of this name/],
    [{ arr_1: labelsOf([1]) }, /a class for each of 2 images; got 1/],
    [{ arr_1: labelsOf([0, -1]) }, /arr_1\[1\].*a class from 0 to 99999; got -1/],
    [{ arr_1: labelsOf([0, 2n ** 62n]) }, /arr_1\[1\].*a class from 0 to 99999/],
    [{ arr_1: npyOf('<f8', [2], new Uint8Array(16)) }, /integers of shape \[N\].*<f8/],
    [{ arr_1: npyOf('|u1', [2, 1], new Uint8Array(2)) }, /integers of shape \[N\]/],
    [{ arr_1: npyOf('|u1', [5_000_000], new Uint8Array(2)) }, /at most 4000000 classes/],
  ];
  for (const [arrays, why] of cases) {
    const error = await refusal(t, scanNpz(t, npzOf({ arr_0, ...arrays }), true));
    t.like(error, { code: 'FAILED_PRECONDITION', reason: 'DATASET_INVALID' });
    t.regex(error.message, why);
  }
  t.is((await scanNpz(t, npzOf({ arr_0 }))).count, 2);
});

test('an npz of images that are too small for the size is skipped image by image', async (t) => {
  const error = await refusal(t, scanNpz(t, npzOf({ arr_0: imagesOf([1, 2], 1) })));
  t.like(error, { reason: 'DATASET_EMPTY', metadata: { IMAGE_TOO_SMALL: '2' } });
});
