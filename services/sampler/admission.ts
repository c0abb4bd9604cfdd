/** How much work may be under way at once. */

import { DiffusionError } from '../../shared/foundation/index.js';

/** Reserves this many network evaluations. @returns a function that frees them again. */
export type Admit = (evaluations: number) => () => void;

const RETRY_AFTER_MS = 5000;

/** @throws from the returned function: DiffusionError RESOURCE_EXHAUSTED, with a delay where the same call can succeed later. */
export function admission(maxEvaluations: number): Admit {
  let underWay = 0;
  return (evaluations) => {
    if (evaluations > maxEvaluations) {
      const text = `wanted at most ${maxEvaluations} network evaluations (count times steps); got ${evaluations}`;
      throw new DiffusionError('TOO_MANY_EVALUATIONS', text);
    }
    if (underWay + evaluations > maxEvaluations) {
      const text = `${underWay} of ${maxEvaluations} network evaluations are under way; the call needs ${evaluations} more`;
      throw new DiffusionError('BUSY', text, { retryAfterMs: RETRY_AFTER_MS });
    }
    underWay += evaluations;
    return () => {
      underWay -= evaluations;
    };
  };
}
