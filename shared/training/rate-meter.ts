/** The speed of training, over its latest optimizer steps. */

const WINDOW = 32;

export interface RateMeter {
  /** Records that an optimizer step ended, by the monotonic clock. */
  tick(nowMs: number): void;
  /** Milliseconds for each optimizer step, or undefined until two steps have ended. */
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
