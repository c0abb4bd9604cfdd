/** Tars made by hand, right ones and wrong ones. */
import { Header } from 'tar';

import { pngOf } from './folders.js';

export interface TarFile {
  readonly path: string;
  readonly bytes?: Uint8Array | string;
  readonly type?: 'File' | 'SymbolicLink' | 'Directory';
  readonly linkpath?: string;
  /** The size that the header claims, where that is another one. */
  readonly claimed?: number;
}

const BLOCK = 512;

/** @param end The two blocks of zeros that end a tar. */
export function tarOf(files: readonly TarFile[], end: Uint8Array = Buffer.alloc(2 * BLOCK)): Buffer {
  const parts = files.flatMap(({ path, bytes = '', type = 'File', linkpath = '', claimed }) => {
    const body = Buffer.from(bytes);
    const header = new Header({
      ...{ path, linkpath, mode: 0o644, size: claimed ?? body.length, mtime: new Date(0), type },
    });
    const block = Buffer.alloc(BLOCK);
    header.encode(block);
    return [block, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)];
  });
  return Buffer.concat([...parts, end]);
}

/** An image with its class. */
export async function goodSample(key: string): Promise<TarFile[]> {
  return [
    { path: `${key}.png`, bytes: await pngOf(1) },
    { path: `${key}.cls`, bytes: '3' },
  ];
}
