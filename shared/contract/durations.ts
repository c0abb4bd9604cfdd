/** Milliseconds <-> google.protobuf.Duration and Timestamp. */

import type { Duration } from './generated/google/protobuf/duration.js';

/** @param ms Finite; negative values are taken as 0. */
export function durationFromMs(ms: number): Duration {
  const nanoseconds = Math.round(Math.max(0, ms) * 1e6);
  return { seconds: BigInt(Math.floor(nanoseconds / 1e9)), nanos: nanoseconds % 1e9 };
}

export function msFromDuration({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}
