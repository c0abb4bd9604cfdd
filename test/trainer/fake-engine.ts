/** Engine processes that play a script, and the messages that they send. */

import { deferred, systemClock } from '../../shared/foundation/index.js';
import { type ChildExit } from '../../shared/processes/index.js';
import type { FromEngine, StartTraining } from '../../services/trainer/engine-process/messages.js';
import { dataSources } from '../../services/trainer/data-sources.js';
import { reader } from '../../services/trainer/reading.js';
import { fileAccess } from '../../shared/store/index.js';
import type { StartEngine } from '../../services/trainer/engine.js';

interface FakeEngine {
  readonly start: StartTraining;
  readonly send: (message: FromEngine) => void;
  readonly exit: (exit?: Partial<ChildExit>) => void;
}

/** What a fake engine does when it starts, and when it is asked to stop. */
export type Script = (engine: FakeEngine) => { onStop(): void } | undefined;

/** Images of this machine alone; none is ever read. */
export const localSources = dataSources({
  ...{ access: fileAccess({}), cacheFolder: 'unused' },
  reader: reader({ environment: {}, heartbeatTimeoutMs: 60_000, clock: systemClock }),
});

export const killed = { code: null, signal: 'SIGKILL' as const };
export const readyAt = (step: number): FromEngine => ({
  kind: 'ready',
  step,
  committedStep: step,
  sizeBytes: 10,
  openedMs: 5,
  message: `training resumes after step ${step}`,
});
export const ready = readyAt(0);
export const commit = (step: number): FromEngine => ({
  kind: 'event',
  event: { kind: 'checkpoint', step, sizeBytes: 10 },
});
export const finished: FromEngine = { kind: 'ended', how: 'finished', waiting: 0 };
export const stopped: FromEngine = { kind: 'ended', how: 'stopped', waiting: 0 };

/** Engines of which the n-th plays the n-th script, and all later ones the last. */
export function engines(...scripts: readonly Script[]): {
  startEngine: StartEngine;
  starts: StartTraining[];
} {
  const starts: StartTraining[] = [];
  const startEngine: StartEngine = (start, onMessage) => {
    const { promise: exited, resolve } = deferred<ChildExit>();
    const exit: FakeEngine['exit'] = (how = killed) => {
      resolve({
        code: null,
        signal: null,
        unresponsive: undefined,
        invalidMessage: undefined,
        stderrTail: '',
        ...how,
      });
    };
    starts.push(start);
    const script = scripts[Math.min(starts.length, scripts.length) - 1];
    let onStop: (() => void) | undefined;
    // Like a process: no message comes before the caller has the engine.
    setImmediate(() => {
      onStop = script?.({ start, send: onMessage, exit })?.onStop;
    });
    return {
      pid: starts.length,
      exited,
      kill: () => {
        exit();
      },
      stop: () => {
        onStop?.();
      },
    };
  };
  return { startEngine, starts };
}

/** An engine that sends these messages, or ends so, one after the other. */
export const plays =
  (...acts: readonly (FromEngine | Partial<ChildExit>)[]): Script =>
  (engine) => {
    for (const act of acts) {
      if ('kind' in act) engine.send(act);
      else engine.exit(act);
    }
    return undefined;
  };
