/** Workers of a batch as processes. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { programArguments } from '../programs.js';

export interface WorkerProcess {
  readonly child: ChildProcess;
  /** The events that it has printed. */
  readonly events: readonly WorkerEvent[];
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
}

export interface WorkerEvent {
  readonly event?: string;
  readonly [field: string]: unknown;
}

/** Runs a command of the program in a process of its own. */
export function spawnWorker(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  onEvent: (event: WorkerEvent) => void = () => undefined,
): WorkerProcess {
  const main = programArguments(import.meta.url, '../../services/cli/main');
  const child = spawn(process.execPath, [...main, ...words, '--json'], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // A test that fails half-way must not leave it behind.
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  const events: WorkerEvent[] = [];
  createInterface(child.stdout).on('line', (line) => {
    const event = JSON.parse(line) as WorkerEvent;
    events.push(event);
    onEvent(event);
  });
  const exited = once(child, 'close').then(([code, signal]) => {
    process.off('exit', kill);
    return (code ?? signal) as number | string;
  });
  return { child, events, exited };
}

/** Resolves once a worker has printed an event of this name, or has ended. */
export async function whenEvent({ child, events, exited }: WorkerProcess, name: string): Promise<void> {
  const end = { hasCome: false };
  const ended = exited.then(() => {
    end.hasCome = true;
  });
  while (!end.hasCome && !events.some(({ event }) => event === name))
    await Promise.race([once(child.stdout ?? child, 'data'), ended]);
}
