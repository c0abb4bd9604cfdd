/** How memory, descriptors and children of services grow while they live. */

import type { Held } from '../proc.js';

/** A look at a process. */
export interface Sample extends Held {
  /** What the process is: `trainer`, say. */
  readonly process: string;
  readonly pid: number;
  /** Milliseconds since the run began. */
  readonly atMs: number;
}

export const QUANTITIES = ['memoryMib', 'descriptors', 'children'] as const;
export type Quantity = (typeof QUANTITIES)[number];

export interface Slope {
  readonly process: string;
  readonly quantity: Quantity;
  readonly perMinute: number;
  /** Its standard error. */
  readonly error: number;
  readonly highest: number;
  /** Time that all lives together were observed. */
  readonly minutes: number;
}

/** A process that has just started takes memory for the first time, which is no leak. */
const WARM_UP_MS = 60_000;
/** What a shorter life shows is how it begins. */
const MIN_LIFE_MS = 60_000;

/**
 * Growth by the minute of each kind of process: one line through all its lives, each with a level of its own, by least
 * squares; what a life shows in its first minute is left out. A kind that did not live for another minute after that has no slope.
 */
export function slopesOf(samples: readonly Sample[]): Slope[] {
  const kinds = [...new Set(samples.map((sample) => sample.process))];
  return kinds.flatMap((kind) => {
    const lives = livesOf(samples.filter((sample) => sample.process === kind));
    return QUANTITIES.flatMap((quantity) => {
      const line = fitted(
        lives.map((life) => life.map((sample) => [sample.atMs / 60_000, sample[quantity]])),
      );
      if (line === undefined) return [];
      const highest = Math.max(...lives.flat().map((sample) => sample[quantity]));
      return [{ process: kind, quantity, highest, ...line }];
    });
  });
}

function livesOf(samples: readonly Sample[]): Sample[][] {
  const pids = [...new Set(samples.map(({ pid }) => pid))];
  return pids
    .map((pid) => samples.filter((sample) => sample.pid === pid))
    .map((life) => life.filter(({ atMs }) => atMs >= (life[0]?.atMs ?? 0) + WARM_UP_MS))
    .filter((life) => (life.at(-1)?.atMs ?? 0) - (life[0]?.atMs ?? 0) >= MIN_LIFE_MS);
}

type Line = Pick<Slope, 'perMinute' | 'error' | 'minutes'>;

function fitted(lives: readonly (readonly (readonly [number, number])[])[]): Line | undefined {
  let [xx, xy, yy, count, minutes] = [0, 0, 0, 0, 0];
  for (const points of lives) {
    const middleX = mean(points.map(([x]) => x));
    const middleY = mean(points.map(([, y]) => y));
    for (const [x, y] of points) {
      xx += (x - middleX) ** 2;
      xy += (x - middleX) * (y - middleY);
      yy += (y - middleY) ** 2;
    }
    count += points.length;
    minutes += (points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0);
  }
  const free = count - lives.length - 1;
  if (xx === 0 || free < 1) return undefined;
  const perMinute = xy / xx;
  const rest = Math.max(0, yy - perMinute * xy);
  return { perMinute, error: Math.sqrt(rest / free / xx), minutes };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Less shows how services begin, with models to load and heaps to fill, and not how they grow. */
const LEAST_MINUTES = 10;

/** What may be added in a minute. A slope is over it where that is sure: two standard errors above, over ten minutes. */
export const BOUNDS: Readonly<Record<Quantity, number>> = { memoryMib: 4, descriptors: 2, children: 0.5 };

export function isOver({ quantity, perMinute, error, minutes }: Slope): boolean {
  return minutes >= LEAST_MINUTES && perMinute - 2 * error > BOUNDS[quantity];
}
