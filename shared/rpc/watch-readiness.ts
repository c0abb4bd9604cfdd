/** What keeps a running service ready, or not: its store and its engines. */

import type { Clock, Environment } from '../foundation/index.js';
import { probeEngine, untilEngineStarts, type EngineFound, type EngineKnown } from '../probe/index.js';
import { watchStore, type ObjectStore } from '../store/index.js';
import type { Readiness } from './readiness.js';
import type { ServerSettings } from './server-settings.js';
import type { ServiceLog } from './service-program.js';

export interface WatchedReadiness {
  readonly settings: Pick<ServerSettings, 'storeProbeMs' | 'storeUnreadyMs' | 'engineCheck'>;
  readonly store: ObjectStore;
  readonly engineEnvironment: Environment;
  readonly readiness: Pick<Readiness, 'set'>;
  readonly clock: Clock;
  readonly log: Pick<ServiceLog, 'warn'>;
  readonly signal: AbortSignal;
  /** Tries an engine; default: in a process of its own. */
  readonly probe?: () => Promise<EngineFound>;
}

export interface Watching {
  /** What is known of this machine's engines. */
  engine(): EngineKnown;
}

/** Begins to watch the engines. The service is not ready until one has started. */
export function watchEngine(options: Omit<WatchedReadiness, 'store'>): Watching {
  const { settings, engineEnvironment: environment, readiness, clock, log, signal } = options;
  let known: EngineKnown = { kind: 'unknown' };
  if (settings.engineCheck) {
    readiness.set('engine', 'no engine has been started yet');
    const { probe = () => probeEngine({ environment, clock, signal }) } = options;
    const onFound = (found: EngineFound): void => {
      known = found;
      const problem = found.kind === 'failed' ? `no engine can be started: ${found.problem}` : undefined;
      if (problem !== undefined) log.warn(problem);
      readiness.set('engine', problem);
    };
    void untilEngineStarts(probe, onFound, signal);
  }
  return { engine: () => known };
}

/** Watches a store that answers now. */
export function watchReadyStore({ settings, store, readiness, clock, signal }: WatchedReadiness): void {
  void watchStore({
    ...{ store, clock, signal },
    everyMs: settings.storeProbeMs,
    reportAfterMs: settings.storeUnreadyMs,
    onChange: (problem) => {
      readiness.set('store', problem && `the store does not answer: ${problem}`);
    },
  });
}
