/** Which runs take far longer than they should: from outside, a run that hangs looks like one that works. */
import { runningTime, systemClock } from '../../foundation/index.js';
import type { Clock } from '../../foundation/index.js';

export interface RunLimits {
  /** What any run may take. */
  readonly leastMs: number;
  /** And how many times as long as the longest run that ended. */
  readonly timesLongest: number;
  /** What a run may take before any run like it has ended, besides the time for its work. */
  readonly firstMs: number;
  /** How much of its work such a run does at least, in operations of floating point a millisecond. */
  readonly leastFlopsPerMs: number;
}

/** A first run may take ten minutes, and a second more for each GFLOP: any processor does many of these a second. */
export const RUN_LIMITS: RunLimits = {
  leastMs: 60_000,
  timesLongest: 20,
  firstMs: 600_000,
  leastFlopsPerMs: 1e6,
};

/** What is always run alike. */
export interface Work {
  /** In words that follow "run of ". */
  readonly name: string;
  /** About how many operations of floating point it takes. */
  readonly flops: number;
}

export interface RunWatch {
  /** Follows the runs of a work. */
  follow(work: Work): <T>(run: () => Promise<T>) => Promise<T>;
  /** The run that has taken longest beyond its limit, in a sentence; undefined where all are within theirs. */
  overdue(): string | undefined;
}

interface Running {
  readonly name: string;
  readonly beganMs: number;
  readonly limitMs: number;
}

const TICK_MS = 1000;

/** @param limits Of all runs that it follows. */
export function runWatch(limits: RunLimits = RUN_LIMITS, clock: Clock = systemClock): RunWatch {
  // A run does nothing while the process is stopped, and isn't late for that.
  const now = runningTime(clock, 1.5 * TICK_MS);
  const running = new Set<Running>();
  let ticks: NodeJS.Timeout | undefined;

  function begin(one: Running): void {
    running.add(one);
    ticks ??= setInterval(now, TICK_MS).unref();
  }

  function end(one: Running): void {
    running.delete(one);
    if (running.size > 0) return;
    clearInterval(ticks);
    ticks = undefined;
  }

  function follow({ name, flops }: Work): <T>(run: () => Promise<T>) => Promise<T> {
    let limitMs = limits.firstMs + flops / limits.leastFlopsPerMs;
    let longestMs = 0;
    return async (run) => {
      const one = { name, beganMs: now(), limitMs };
      begin(one);
      try {
        const result = await run();
        // One that failed may have ended early, and says nothing of the others.
        longestMs = Math.max(longestMs, now() - one.beganMs);
        limitMs = Math.max(limits.leastMs, limits.timesLongest * longestMs);
        return result;
      } finally {
        end(one);
      }
    };
  }

  function overdue(): string | undefined {
    const time = now();
    const late = [...running]
      .map(({ name, beganMs, limitMs }) => ({ name, limitMs, tookMs: time - beganMs }))
      .filter(({ tookMs, limitMs }) => tookMs > limitMs)
      .sort((a, b) => b.tookMs - b.limitMs - (a.tookMs - a.limitMs))[0];
    return (
      late &&
      `its run of ${late.name} has taken ${inSeconds(late.tookMs)}; the limit is ${inSeconds(late.limitMs)}`
    );
  }

  return { follow, overdue };
}

const inSeconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** Of all runs of this process, unless they are given another. */
export const processRuns = runWatch();
