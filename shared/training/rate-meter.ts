/** How fast training goes, over its latest updates. */

const WINDOW = 32;

export interface RateMeter {
  /** Takes in that an update ended, by the monotonic clock. */
  tick(nowMs: number): void;
  /** Milliseconds an update, or undefined until two updates have ended. */
  stepMs(): number | undefined;
}

export function rateMeter(): RateMeter {
  const endedMs: number[] = [];
  return {
    tick(nowMs) {
      endedMs.push(nowMs);
      if (endedMs.length > WINDOW + 1) endedMs.shift();
    },
    stepMs() {
      const [first, last] = [endedMs[0], endedMs.at(-1)];
      if (first === undefined || last === undefined || last <= first) return undefined;
      return (last - first) / (endedMs.length - 1);
    },
  };
}
