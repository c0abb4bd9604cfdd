/** How much work may be under way at once. */

import { DiffusionError } from '../../shared/foundation/index.js';

/** Takes up room for so many network evaluations. @returns what gives the room back. */
export type Admit = (evaluations: number) => () => void;

const RETRY_AFTER_MS = 5000;

/** @throws from the returned function: DiffusionError RESOURCE_EXHAUSTED, with a delay where waiting can help. */
export function admission(maxEvaluations: number): Admit {
  let underWay = 0;
  return (evaluations) => {
    if (evaluations > maxEvaluations) {
      const text = `wanted at most ${maxEvaluations} network evaluations (count times steps); got ${evaluations}`;
      throw new DiffusionError('TOO_MANY_EVALUATIONS', text);
    }
    if (underWay + evaluations > maxEvaluations) {
      const text = `${underWay} of ${maxEvaluations} network evaluations are under way; ${evaluations} more don't fit`;
      throw new DiffusionError('BUSY', text, { retryAfterMs: RETRY_AFTER_MS });
    }
    underWay += evaluations;
    return () => {
      underWay -= evaluations;
    };
  };
}
