/** Starts engine processes. */

import { describeValue, type Clock } from '../../shared/foundation/index.js';
import { siblingModule, startChild, type Child, type ChildExit } from '../../shared/processes/index.js';
import {
  parseFromEngine,
  type FromEngine,
  type StartTraining,
  type ToEngine,
} from './engine-process/messages.js';

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
  readonly silenceTimeoutMs: number;
  readonly clock: Clock;
  /** Told of a message that is none of ours, before its sender is killed. */
  readonly onUnknownMessage: (description: string) => void;
}

/** A process that sends anything but its own messages is killed. */
export function engineStarter({
  environment,
  silenceTimeoutMs,
  clock,
  onUnknownMessage,
}: EngineOptions): StartEngine {
  return (start, onMessage) => {
    const child: Child<ToEngine> = startChild<ToEngine, unknown>({
      module: siblingModule(import.meta.url, './engine-process/main'),
      environment,
      silenceTimeoutMs,
      clock,
      onMessage: (message) => {
        const parsed = parseFromEngine(message);
        if (parsed === undefined) {
          onUnknownMessage(describeValue(message));
          child.kill();
        } else onMessage(parsed);
      },
    });
    child.send(start);
    return {
      pid: child.pid,
      stop: () => {
        child.send({ type: 'stop' });
      },
      kill: () => {
        child.kill();
      },
      exited: child.exited,
    };
  };
}
