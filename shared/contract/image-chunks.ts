/** Encoded images in pieces that every client's message limit lets through. */

import { createHash } from 'node:crypto';

import { DiffusionError } from '../foundation/index.js';
import type { ImageChunk, ImageFormat } from './generated/diffusion/types/v1/sampling.js';

const WHOLE_UP_TO_BYTES = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;

export interface EncodedImage {
  readonly format: ImageFormat;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly bytes: Uint8Array;
}

export function* imageChunks({ bytes, ...image }: EncodedImage): Generator<ImageChunk> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const pieceBytes = bytes.length <= WHOLE_UP_TO_BYTES ? Math.max(1, bytes.length) : PIECE_BYTES;
  for (let offset = 0; offset === 0 || offset < bytes.length; offset += pieceBytes) {
    yield {
      ...image,
      offsetBytes: BigInt(offset),
      totalSizeBytes: BigInt(bytes.length),
      sha256,
      data: Buffer.from(bytes.subarray(offset, offset + pieceBytes)),
    };
  }
}

/** Puts one image's chunks together, in the order in which they come. */
export class ImageAssembly {
  readonly #pieces: Buffer[] = [];
  #received = 0;

  /**
   * The image's bytes when this chunk was its last one.
   *
   * @throws DiffusionError DATA_LOSS where a piece is missing or the digest differs.
   */
  add(chunk: ImageChunk): Buffer | undefined {
    if (chunk.offsetBytes !== BigInt(this.#received)) {
      throw new DiffusionError(
        'TRANSFER_DAMAGED',
        `wanted the image's bytes from ${this.#received}; got ${chunk.offsetBytes}`,
      );
    }
    this.#pieces.push(chunk.data);
    this.#received += chunk.data.length;
    if (BigInt(this.#received) < chunk.totalSizeBytes) return undefined;
    const bytes = Buffer.concat(this.#pieces);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest !== chunk.sha256) {
      throw new DiffusionError(
        'TRANSFER_DAMAGED',
        `wanted an image with sha256 ${chunk.sha256}; got ${digest}`,
      );
    }
    return bytes;
  }
}
