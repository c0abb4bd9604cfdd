/** The parts of rows that look at an image as a whole, in their order, and the numbers that a row gives them. */
import { KEPT_PARTS } from './inpainting.js';
import { REMEDY_PARTS } from './remedies/index.js';
import type { PartPlace, RowPlace, SlotImages, SlotMath, SlotPart } from './slot-part.js';
import type { Inpainting, SamplerPlan } from './solver.js';

/** What the parts of an image's rows follow from. */
export interface Given {
  readonly plan: SamplerPlan;
  readonly inpaint?: Inpainting | undefined;
}

interface Part {
  /** Undefined where it is off. */
  readonly settingsOf: (of: Given) => unknown;
  readonly part: SlotPart<never>;
}

/** At each place kept pixels come last. */
const PARTS: readonly Part[] = [
  ...REMEDY_PARTS.map(({ name, part }) => ({ settingsOf: ({ plan }: Given) => plan.remedies[name], part })),
  ...KEPT_PARTS.map((part) => ({ settingsOf: ({ inpaint }: Given) => inpaint, part })),
];

/** So many numbers has a row of an image that any part is on for. */
export const PIXEL_NUMBERS = PARTS.reduce((sum, { part }) => sum + part.width, 0);

/** A row's numbers for all parts; undefined where none is on, as in all rows of most images. */
export function pixelNumbers(of: Given, place: RowPlace): number[] | undefined {
  if (PARTS.every(({ settingsOf }) => settingsOf(of) === undefined)) return undefined;
  return PARTS.flatMap(({ settingsOf, part }) => {
    const settings = settingsOf(of);
    // Each part takes the settings that stand beside it.
    return settings === undefined
      ? Array<number>(part.width).fill(0)
      : part.numbers(settings as never, place);
  });
}

/** What the parts at one place make of x, or of the predicted x_0. @param number By its place in `pixelNumbers`. */
export function withParts<Value>(
  math: SlotMath<Value>,
  place: PartPlace,
  images: SlotImages<Value>,
  number: (place: number) => Value,
): Value {
  const changed = place === 'predicted' ? 'xStart' : 'x';
  let first = 0;
  let now = images;
  for (const { part } of PARTS) {
    const begin = first;
    first += part.width;
    if (part.place !== place) continue;
    now = { ...now, [changed]: part.apply(math, now, (k) => number(begin + k)) };
  }
  return now[changed];
}
