/** Whether a service is ready for calls; a process that lives need not be. */

import { changes, count, onOff, setting, type Changes } from '../foundation/index.js';

export const READINESS_SETTINGS = {
  storeProbeMs: setting(
    'IP_DIFFUSION_STORE_PROBE_MS',
    count(100),
    'the store is asked this often whether it answers',
    {
      fallback: 10_000,
      unit: 'ms',
    },
  ),
  storeUnreadyMs: setting(
    'IP_DIFFUSION_STORE_UNREADY_MS',
    count(),
    'a service whose store has not answered for this long is not ready',
    { fallback: 60_000, unit: 'ms' },
  ),
  engineCheck: setting(
    'IP_DIFFUSION_ENGINE_CHECK',
    onOff,
    'whether a service starts an engine once to see that it can, and is not ready where it can not',
    { fallback: true },
  ),
} as const;

/** What may keep a service from being ready. */
export type Obstacle = 'start' | 'store' | 'engine' | 'stop';

export interface Readiness {
  /** @param problem In words; undefined where the obstacle is gone. */
  set(obstacle: Obstacle, problem: string | undefined): void;
  isReady(): boolean;
  /** The words of all obstacles. */
  problems(): string[];
  readonly changes: Pick<Changes, 'next'>;
}

/** Not ready, because it starts. @param onChange Called where the service becomes ready, or isn't any more. */
export function readiness(onChange: (problems: readonly string[]) => void): Readiness {
  const problems = new Map<Obstacle, string>([['start', 'the service is starting']]);
  const changed = changes();
  return {
    set: (obstacle, problem) => {
      const before = problems.size;
      if (problem === undefined) problems.delete(obstacle);
      else problems.set(obstacle, problem);
      if ((before === 0) !== (problems.size === 0)) onChange([...problems.values()]);
      changed.notify();
    },
    isReady: () => problems.size === 0,
    problems: () => [...problems.values()],
    changes: changed,
  };
}
