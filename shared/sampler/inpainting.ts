/** Inpainting: some pixels are sampled, the others are those of a given image. */
import { at } from '../foundation/index.js';
import { qSample } from '../noise/index.js';
import { noiseLevel } from './noise-level.js';
import type { SlotMath, SlotPart } from './slot-part.js';
import type { Inpainting, SamplerPlan } from './solver.js';

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

/**
 * x with the kept pixels as they are at respaced step `i`, or at -1, the image.
 * Why: one noise, that of x_T, at all levels: kept pixels go straight from x_T to the image.
 */
export function withKept(
  { tables }: SamplerPlan,
  inpaint: Inpainting,
  i: number,
  { x, xT }: { readonly x: Float32Array; readonly xT: () => Float32Array },
): Float32Array {
  return sampledInto(inpaint, x, i < 0 ? inpaint.image : qSample(tables, inpaint.image, i, xT()));
}

/** What a slot has of inpainting, each array as long as x. */
export interface KeptPixels {
  /** How much of each value is the image's: 1 less the mask. */
  readonly share: Float32Array;
  readonly image: Float32Array;
  readonly xT: Float32Array;
}

export function keptPixels({ image, mask }: Inpainting, xT: Float32Array): KeptPixels {
  return { share: mask.map((value) => 1 - value), image, xT };
}

/** In slots: the predicted x_0 gets the image's pixels in every row, x gets them with their noise at the end of a step. */
export const KEPT_PARTS: readonly SlotPart<Inpainting>[] = [
  {
    place: 'predicted',
    width: 1,
    numbers: () => [1],
    apply: (math, { xStart, kept }, number) =>
      blended(math, xStart, kept.image, math.mul(number(0), kept.share)),
  },
  {
    place: 'end',
    width: 3,
    numbers: (_, { tables, i, isLast }) => {
      const { alpha, sigma } = noiseLevel({ tables }, i - 1);
      return isLast ? [1, alpha, sigma] : [0, 0, 0];
    },
    apply: (math, { x, kept }, number) => {
      const noised = math.add(math.mul(number(1), kept.image), math.mul(number(2), kept.xT));
      return blended(math, x, noised, math.mul(number(0), kept.share));
    },
  },
];

/** Exactly the one or the other where the share is 0 or 1. */
function blended<Value>(math: SlotMath<Value>, sampled: Value, kept: Value, share: Value): Value {
  return math.add(math.mul(math.sub(math.constant(1), share), sampled), math.mul(share, kept));
}
