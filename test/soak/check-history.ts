/** Holds a history against all rules. */

import type { History, Violation } from './history.js';
import { OUTCOME_RULES } from './history-outcomes.js';
import { WATCH_RULES } from './history-watches.js';

export const RULES = { ...WATCH_RULES, ...OUTCOME_RULES };

export function violationsOf(history: History): Violation[] {
  return Object.entries(RULES).flatMap(([rule, check]) =>
    Array.from(check(history), (text) => ({ rule, text })),
  );
}
