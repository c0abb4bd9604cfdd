/** A child process that is spoken to in structured messages, and is killed when it falls silent. */

import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Clock } from './clock.js';

const STDERR_TAIL_CHARACTERS = 4000;
/** Children send one this often while their event loop is free. */
export const HEARTBEAT_EVERY_MS = 1000;

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether it was killed because nothing was heard of it for too long. */
  readonly unresponsive: boolean;
  /** The end of what it wrote to its standard error. */
  readonly stderrTail: string;
}

export interface Child<ToChild> {
  readonly pid: number | undefined;
  /** Sends a message; one to a child that is gone is dropped (`exited` tells of it). */
  send(message: ToChild): void;
  /** Resolves once, when the process is gone. Never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Ends it at once (SIGKILL). */
  kill(): void;
}

export interface ChildOptions<FromChild> {
  /** The module to run, as `siblingModule` gives it. */
  readonly module: URL;
  /** The child's whole environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onMessage: (message: FromChild) => void;
  /** A child of which nothing is heard for this long is killed. */
  readonly silenceTimeoutMs: number;
  readonly clock: Clock;
}

/** Starts a child; typed arrays travel as they are (structured clone). */
export function startChild<ToChild extends object, FromChild>(
  options: ChildOptions<FromChild>,
): Child<ToChild> {
  const { clock, silenceTimeoutMs } = options;
  const child = fork(fileURLToPath(options.module), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: options.environment,
  });
  let stderrTail = '';
  let unresponsive = false;
  let heardMs = clock.monotonicMs();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-STDERR_TAIL_CHARACTERS);
  });
  child.on('message', (message) => {
    heardMs = clock.monotonicMs();
    if (message !== HEARTBEAT) options.onMessage(message as FromChild);
  });
  const watchdog = setInterval(() => {
    if (clock.monotonicMs() - heardMs < silenceTimeoutMs) return;
    unresponsive = true;
    child.kill('SIGKILL');
  }, HEARTBEAT_EVERY_MS);
  const exited = new Promise<ChildExit>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      clearInterval(watchdog);
      resolve({ code, signal, unresponsive, stderrTail });
    };
    // 'close' comes after the last of standard error; a process that couldn't be started has only 'error'.
    child.on('close', end);
    child.on('error', (error) => {
      stderrTail += error.message;
      if (child.pid === undefined) end(null, null);
    });
  });
  return {
    pid: child.pid,
    send: (message) => {
      if (child.connected) child.send(message, () => undefined);
    },
    exited,
    kill: () => {
      child.kill('SIGKILL');
    },
  };
}

export const HEARTBEAT = 'heartbeat';

/** The module beside the calling one, compiled or not. @param name Without extension: './main'. */
export function siblingModule(importMetaUrl: string, name: string): URL {
  return new URL(name + extname(new URL(importMetaUrl).pathname), importMetaUrl);
}
