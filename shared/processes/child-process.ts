/** A child process that is spoken to in structured messages, and is killed when it hangs. */

import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Clock } from '../foundation/index.js';
import { runningTime } from '../foundation/index.js';

const STDERR_TAIL_CHARACTERS = 4000;
/** Children send a heartbeat this often while their event loop is free. */
export const HEARTBEAT_EVERY_MS = 1000;
/** A heartbeat that comes later than this was held up by one of the two processes being stopped. */
export const LATEST_HEARTBEAT_MS = 1.5 * HEARTBEAT_EVERY_MS;

/** What a child sends while its event loop is free. */
export interface Heartbeat {
  readonly heartbeat: true;
  /** What of its work doesn't come to an end, in a sentence. */
  readonly overdue?: string;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Where it was killed because it hung: what hung, in a sentence without an end. */
  readonly unresponsive: string | undefined;
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
  /** A child of which nothing is heard for this long is killed, as is one that says that its work is overdue. */
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
  let unresponsive: string | undefined;
  const now = runningTime(clock, LATEST_HEARTBEAT_MS);
  let heardMs = now();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-STDERR_TAIL_CHARACTERS);
  });
  function giveUp(why: string): void {
    unresponsive ??= why;
    child.kill('SIGKILL');
  }
  child.on('message', (message) => {
    heardMs = now();
    if (!isHeartbeat(message)) options.onMessage(message as FromChild);
    else if (message.overdue !== undefined) giveUp(message.overdue);
  });
  const watchdog = setInterval(() => {
    if (now() - heardMs >= silenceTimeoutMs) giveUp(`it sent no heartbeat for ${silenceTimeoutMs / 1000} s`);
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

function isHeartbeat(message: unknown): message is Heartbeat {
  return typeof message === 'object' && message !== null && 'heartbeat' in message;
}

/** The module beside the calling one, compiled or not. @param name Without extension: './main'. */
export function siblingModule(importMetaUrl: string, name: string): URL {
  return new URL(name + extname(new URL(importMetaUrl).pathname), importMetaUrl);
}
