/** What of a series is drawn. */
import { at } from '../foundation/index.js';
import type { Axis, Point } from './chart.js';

/** More points than pixels only make a picture large. */
const MOST_POINTS = 1000;
/** A line of fewer points shows each of them. */
const FEW_POINTS = 40;

export interface Datum {
  readonly x: number;
  /** Null is a gap. */
  readonly y: number | null;
}

/** The points with gaps for what can't be drawn; of many, the means of neighbours. */
export function drawable(points: readonly Point[], x: Axis, y: Axis): Datum[] {
  const data = points
    .filter((point) => isDrawable(point[0], x))
    .map((point): Datum => ({ x: point[0], y: isDrawable(point[1], y) ? point[1] : null }));
  const together = Math.ceil(data.length / MOST_POINTS);
  if (together <= 1) return data;
  return Array.from({ length: Math.ceil(data.length / together) }, (_, n) =>
    meanOf(data.slice(n * together, (n + 1) * together)),
  );
}

/** The points of a line that the line alone would not show: all where they are few, else those between two gaps. */
export function shownApart(data: readonly Datum[]): Datum[] {
  const shown = data.filter(({ y }) => y !== null);
  if (shown.length <= FEW_POINTS) return shown;
  const isGap = (index: number): boolean => (data[index]?.y ?? null) === null;
  return data.filter((_, index) => !isGap(index) && isGap(index - 1) && isGap(index + 1));
}

/** The range of an axis: that of the values and a little more, never empty. */
export function rangeOf(values: readonly number[], { scale }: Axis, margin: number): [number, number] {
  const log = scale === 'log';
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  if (log) {
    const factor = low === high ? 2 : (high / low) ** margin;
    return [low / factor, high * factor];
  }
  const more = low === high ? Math.max(Math.abs(low) * 0.1, 1e-6) : (high - low) * margin;
  return [low - more, high + more];
}

function meanOf(data: readonly Datum[]): Datum {
  const ys = data.flatMap(({ y }) => (y === null ? [] : [y]));
  return { x: mean(data.map(({ x }) => x)), y: ys.length === 0 ? null : mean(ys) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, _, n) => sum + at(values, n) / values.length, 0);
}

function isDrawable(value: number, { scale }: Axis): boolean {
  return Number.isFinite(value) && (scale !== 'log' || value > 0);
}
