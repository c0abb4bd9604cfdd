/** The stages of a solver in numbers, for an engine that keeps x and what belongs to it in slots of its own. */
import { at } from '../foundation/index.js';
import type { Algebra } from '../noise/index.js';
import { isClamped, logVarianceRange, predictedXStart } from './evaluation.js';
import { classesAsked, guided } from './guidance.js';
import { remediesUnfitForSlots } from './remedies/index.js';
import { pixelNumbers, type Given } from './slot-pixels.js';
import { UNCONDITIONAL } from './solver.js';
import type { SamplerPlan, SolverOptions, Stage } from './solver.js';
import { noisePosition } from './steps.js';

/** So many arrays of history has a slot. */
export const SLOT_HISTORY = 3;

/**
 * What one evaluation of the network does to a slot. The slot has x, the x_0 that its step predicted, what the network
 * predicted before, and the history; `KeptPixels` where the image is inpainted. From the network's prediction at (x, t, y):
 *
 * x_0 = clamp(xStart . [x, prediction, prediction before], -bound, bound), then
 * [x, ...history] = next [x, x_0, ...history], then
 * x += deviation exp((least + (v + 1) / 2 (most - least)) / 2) noise, with v what the network says of the variance, or
 * deviation noise where that isn't learned.
 *
 * Where there are `pixels`, x before the network, x_0 and the new x are changed by `withParts` at these three places.
 */
export interface SlotRow {
  readonly t: number;
  readonly y: number;
  readonly xStart: readonly number[];
  readonly bound: number;
  /** Of x and of each array of history: factors of [x, x_0, ...history]. */
  readonly next: readonly (readonly number[])[];
  readonly deviation: number;
  readonly logVariance: readonly [least: number, most: number];
  /** Of the noise; 0 where none is drawn. */
  readonly noisePosition: number;
  /** Whether its x_0 is what the step predicts. */
  readonly predicts: boolean;
  /** `pixelNumbers`: in all rows of an image or in none. */
  readonly pixels?: readonly number[];
}

/** Why an image can't stay in a slot, by the fields' names; empty where it can. */
export function unfitForSlots({ plan, noise }: Pick<SolverOptions, 'plan' | 'noise'>): string[] {
  return [...remediesUnfitForSlots(plan.remedies), ...(noise.stream === undefined ? ['noise'] : [])];
}

/** An image at the beginning of a step. */
export interface RowsOf extends Given {
  readonly y?: number | undefined;
  /** How many arrays of history the slot has. */
  readonly past: number;
  /** Values of the image. */
  readonly length: number;
}

/** The rows of respaced step `i`, in their order. */
export function slotRows(image: RowsOf, stages: readonly Stage[], i: number): SlotRow[] {
  const { plan, y = UNCONDITIONAL, length } = image;
  let { past } = image;
  const rows = stages.flatMap((stage, place) => {
    const ofStage = rowsOfStage(plan, stage, i, { y, past, isFirst: place === 0 });
    past = ofStage.history;
    return ofStage.rows;
  });
  return rows.map((row, k) => {
    const ends = { isFirst: k === 0, isLast: k === rows.length - 1 };
    const pixels = pixelNumbers(image, { i, tables: plan.tables, length, ...ends });
    return pixels === undefined ? row : { ...row, pixels };
  });
}

interface StageStart {
  readonly y: number;
  readonly past: number;
  readonly isFirst: boolean;
}

function rowsOfStage(plan: SamplerPlan, stage: Stage, i: number, { y, past, isFirst }: StageStart) {
  const { level, deviation, combine } = stage;
  const [x, xStart, ...history] = units(2 + SLOT_HISTORY) as [Factors, Factors, ...Factors[]];
  const combined = combine(factors, { x, xStart, history: history.slice(0, past) });
  const drawn = deviation === 'predicted' ? predictedNoise(plan, level) : fixedNoise(deviation);
  const row: SlotRow = {
    ...{ t: at(plan.modelTimesteps, level), y, ...drawn, predicts: isFirst },
    xStart: xStartFactors(plan, level),
    bound: isClamped(plan) ? 1 : Infinity,
    next: padded([combined.x, ...(combined.history ?? [])]),
    noisePosition: deviation === 0 ? 0 : noisePosition(plan, i),
  };
  const unconditional: SlotRow = {
    ...{ ...row, ...fixedNoise(0), y: UNCONDITIONAL, noisePosition: 0, predicts: false },
    next: [x, ...history],
  };
  const asked = classesAsked(plan, y);
  return { rows: asked.length > 1 ? [unconditional, row] : [row], history: combined.history?.length ?? 0 };
}

/** How much of each of a list of values. */
type Factors = readonly number[];

const factors: Algebra<Factors> = {
  sum: (...terms) =>
    at(terms, 0)[1].map((_, k) =>
      terms.reduce((sum, [scale, of, minus, over = 1]) => {
        return sum + scale * ((at(of, k) - (minus === undefined ? 0 : at(minus, k))) / over);
      }, 0),
    ),
};

function units(length: number): Factors[] {
  return Array.from({ length }, (_, place) => Array.from({ length }, (_each, k) => (k === place ? 1 : 0)));
}

/** History that a solver doesn't have is 0. */
function padded(next: readonly Factors[]): Factors[] {
  const none = at(next, 0).map(() => 0);
  return Array.from({ length: 1 + SLOT_HISTORY }, (_, k) => next[k] ?? none);
}

/** Of x, the network's prediction, and its prediction before, which is that without a class where guidance is on. */
function xStartFactors(plan: SamplerPlan, level: number): Factors {
  const [xT, conditional, unconditional] = units(3) as [Factors, Factors, Factors];
  const prediction = guided(factors, plan, conditional, unconditional);
  return predictedXStart(factors, plan, level, { xT, prediction });
}

type Noise = Pick<SlotRow, 'deviation' | 'logVariance'>;

function fixedNoise(deviation: number): Noise {
  return { deviation, logVariance: [0, 0] };
}

function predictedNoise({ variance }: SamplerPlan, level: number): Noise {
  const logVariance = logVarianceRange(variance, level);
  return variance.type === 'fixed'
    ? fixedNoise(Math.exp(0.5 * logVariance[0]))
    : { deviation: 1, logVariance };
}
