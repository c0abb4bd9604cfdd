/** Starts engine processes. */

import type { Clock } from '../../shared/foundation/index.js';
import { siblingModule, startChild, type ChildExit } from '../../shared/processes/index.js';
import { engineProtocol, type FromEngine, type StartTraining } from './engine-process/messages.js';

export interface EngineProcess {
  readonly pid: number | undefined;
  /** Asks it to commit a checkpoint and end. */
  stop(): void;
  kill(): void;
  /** Resolves when the process is gone. */
  readonly exited: Promise<ChildExit>;
}

/** Starts an engine process on a job; its messages come as they are sent. */
export type StartEngine = (start: StartTraining, onMessage: (message: FromEngine) => void) => EngineProcess;

export interface EngineOptions {
  /** The process's whole environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly heartbeatTimeoutMs: number;
  readonly clock: Clock;
}

export function engineStarter(options: EngineOptions): StartEngine {
  return (start, onMessage) => {
    const child = startChild({
      ...options,
      module: siblingModule(import.meta.url, './engine-process/main'),
      protocol: engineProtocol,
      onMessage,
    });
    child.send(start);
    return {
      pid: child.pid,
      stop: () => {
        child.send({ kind: 'stop' });
      },
      kill: child.kill,
      exited: child.exited,
    };
  };
}
