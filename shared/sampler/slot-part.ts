/** How a slot computes what looks at an image as a whole: written once, over whatever an engine computes with. */
import type { DiffusionTables } from '../noise/index.js';

/** What an engine computes with: values of an image, or one number of each image, which is taken for all of its values. */
export interface SlotMath<Value> {
  constant(value: number): Value;
  add(a: Value, b: Value): Value;
  sub(a: Value, b: Value): Value;
  mul(a: Value, b: Value): Value;
  div(a: Value, b: Value): Value;
  min(a: Value, b: Value): Value;
  max(a: Value, b: Value): Value;
  abs(a: Value): Value;
  sqrt(a: Value): Value;
  /** The one where a number of an image is over 0, else the other. */
  where(isOver0: Value, then: Value, otherwise: Value): Value;
  /** Of an image's values the one that has a rank, 1 for the largest; linear between two ranks. */
  ranked(image: Value, rank: Value): Value;
  /** Over an image's values. */
  mean(image: Value): Value;
  /** Of each channel over blocks of 2 x 2 pixels, at each of their pixels; a block at an odd edge has fewer. */
  blockMeans(image: Value): Value;
}

/** An image in its slot. */
export interface SlotImages<Value> {
  readonly x: Value;
  /** x_0 as its step predicted it. */
  readonly xStart: Value;
  /** As `KeptPixels`; anything where the image has none. */
  readonly kept: Readonly<Record<'share' | 'image' | 'xT', Value>>;
}

/** The row that numbers are asked for. */
export interface RowPlace {
  /** The respaced step that it belongs to, and the tables of the respaced process. */
  readonly i: number;
  readonly tables: DiffusionTables;
  /** Values of the image. */
  readonly length: number;
  /** Whether it's the step's first or last row. */
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/**
 * At which place of a row: `start` gives x before the network sees it, `predicted` the predicted x_0 after its clamp,
 * `end` x after the row's sums and noise.
 */
export type PartPlace = 'start' | 'predicted' | 'end';

/** One thing that rows do to images, with so many numbers of its own. */
export interface SlotPart<Settings> {
  readonly place: PartPlace;
  readonly width: number;
  /** Zeros in a row in which it does nothing. */
  readonly numbers: (settings: Settings, place: RowPlace) => readonly number[];
  /** The new x, or x_0. With zeros for its numbers the same as before, to the bit. */
  readonly apply: <Value>(
    math: SlotMath<Value>,
    images: SlotImages<Value>,
    number: (place: number) => Value,
  ) => Value;
}
