/** Inpainting: some pixels are sampled, the others are those of a given image. */
import { at } from '../foundation/index.js';
import type { Inpainting } from './solver.js';

/** `sampled` where the mask is 1, `kept` where it is 0, both bit for bit; blended between. */
export function sampledInto(
  { image, mask }: Inpainting,
  sampled: Float32Array,
  kept: Float32Array = image,
): Float32Array {
  return sampled.map((value, e) => {
    const share = at(mask, e);
    if (share === 1) return value;
    return share === 0 ? at(kept, e) : share * value + (1 - share) * at(kept, e);
  });
}
