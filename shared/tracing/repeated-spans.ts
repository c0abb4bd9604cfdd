/** Spans of what a call or job does very often: a bounded number of them, and one that sums up the rest. */

import type { Clock } from '../foundation/index.js';
import type { Attributes, Span } from './span.js';

export interface RepeatedSpans {
  /** Begins one more. @param sinceMs It began so long ago. @returns what ends it. */
  begin(attributes: Attributes, sinceMs?: number): () => void;
  /** Ends the span that sums up the rest, where there is one. */
  end(): void;
}

export interface RepeatedSpansOptions {
  readonly parent: Span;
  readonly name: string;
  /** Spans of their own. */
  readonly most: number;
  /** The attributes that are added up in the rest. */
  readonly sums: readonly string[];
  readonly clock: Clock;
}

const NOTHING: RepeatedSpans = { begin: () => () => undefined, end: () => undefined };

/** The rest is a span `<name>, the rest` with the number (`diffusion.count`), the time (`diffusion.seconds`) and the sums. */
export function repeatedSpans({ parent, name, most, sums, clock }: RepeatedSpansOptions): RepeatedSpans {
  if (!parent.isRecorded) return NOTHING;
  let begun = 0;
  let rest: Span | undefined;
  let restMs = 0;
  const totals = new Map(sums.map((key) => [key, 0]));

  return {
    begin: (attributes, sinceMs = 0) => {
      begun += 1;
      if (begun <= most) {
        const span = parent.child(name, attributes, sinceMs);
        return span.end;
      }
      rest ??= parent.child(`${name}, the rest`, {}, sinceMs);
      const beganMs = clock.monotonicMs() - sinceMs;
      return () => {
        restMs += clock.monotonicMs() - beganMs;
        for (const [key, total] of totals) totals.set(key, total + Number(attributes[key] ?? 0));
      };
    },
    end: () => {
      rest?.set({
        'diffusion.count': begun - most,
        'diffusion.seconds': restMs / 1000,
        ...Object.fromEntries(totals),
      });
      rest?.end();
    },
  };
}
