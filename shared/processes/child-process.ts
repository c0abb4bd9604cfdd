/** A child process that exchanges messages with its parent, and is killed when it hangs or sends an unknown message. */

import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Clock } from '../foundation/index.js';
import { runningTime } from '../foundation/index.js';
import { openChannel } from './channel.js';
import { memoryKills } from './memory-kills.js';
import { CHANNEL_FD, describeMessage, heartbeat, HEARTBEAT_EVERY_MS, type Protocol } from './protocol.js';

const STDERR_TAIL_CHARACTERS = 4000;
const LACKING: readonly string[] = ['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'];
/** A heartbeat that comes later than this was held up by one of the two processes being stopped. */
const LATEST_HEARTBEAT_MS = 1.5 * HEARTBEAT_EVERY_MS;

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Where it was killed because it hung: what hung, in a sentence without an end. */
  readonly unresponsive: string | undefined;
  /** Where it was killed for an invalid message: what that was, in a sentence without an end. For logs alone. */
  readonly invalidMessage: string | undefined;
  /** The end of what it wrote to its standard error. */
  readonly stderrTail: string;
  /** Where the system could not start it for want of something that others may give back: EMFILE, EAGAIN, ENOMEM. */
  readonly lackedToStart?: string | undefined;
  /** Whether the system killed it, or another process beside it, because memory ran out. */
  readonly outOfMemory?: boolean | undefined;
}

export interface Child<ToChild> {
  readonly pid: number | undefined;
  /** Sends a message; one to a child that has ended is dropped (see `exited`). */
  send(message: ToChild): void;
  /** Kills it because of a message that is no answer to what it was asked; no further one is taken. */
  refuse(message: unknown): void;
  /** Resolves once, when the process is gone. Never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Ends it at once (SIGKILL). */
  kill(): void;
}

export interface ChildOptions<ToChild extends object, FromChild extends object> {
  /** The module to run, as `siblingModule` gives it. */
  readonly module: URL;
  readonly protocol: Protocol<ToChild, FromChild>;
  /** The child's whole environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A message as the protocol parsed it. A child that sends anything else is killed (`ChildExit.invalidMessage`). */
  readonly onMessage: (message: FromChild) => void;
  /** A child of which nothing is heard for this long is killed, as is one that says that its work is overdue. */
  readonly heartbeatTimeoutMs: number;
  readonly clock: Clock;
}

/** Starts a child that calls `connectToParent` with the same protocol. */
export function startChild<ToChild extends object, FromChild extends object>(
  options: ChildOptions<ToChild, FromChild>,
): Child<ToChild> {
  const { clock, heartbeatTimeoutMs, protocol } = options;
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(options.module)], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: options.environment,
  });
  const killsBefore = memoryKills();
  let lackedToStart: string | undefined;
  let killed = false;
  let stderrTail = '';
  let unresponsive: string | undefined;
  let invalidMessage: string | undefined;
  const now = runningTime(clock, LATEST_HEARTBEAT_MS);
  let heardMs = now();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-STDERR_TAIL_CHARACTERS);
  });
  function giveUp(why: string): void {
    unresponsive ??= why;
    kill();
  }
  function refuse(what: string): void {
    invalidMessage ??= what;
    // Before the channel is closed: a child that finds it closed ends by itself, with another exit.
    kill();
    channel.close();
  }
  function kill(): void {
    killed = true;
    child.kill('SIGKILL');
  }
  // Where the system can't start another process, there is no socket either; the event 'error' reports it.
  const stdio = child.stdio as readonly unknown[] | undefined;
  const socket = stdio?.[CHANNEL_FD] instanceof Socket ? stdio[CHANNEL_FD] : new Socket().destroy();
  const channel = openChannel(socket, {
    maxBytes: protocol.maxMessageBytes,
    onValue: (value) => {
      heardMs = now();
      const message = protocol.fromChild.safeParse(value);
      const beat = message.success ? undefined : heartbeat.safeParse(value);
      if (message.success) options.onMessage(message.data);
      else if (beat?.success !== true) refuse(describeMessage(value));
      else if (beat.data.overdue !== undefined) giveUp(beat.data.overdue);
    },
    onBroken: refuse,
  });
  const watchdog = setInterval(() => {
    if (now() - heardMs >= heartbeatTimeoutMs)
      giveUp(`it sent no heartbeat for ${heartbeatTimeoutMs / 1000} s`);
  }, HEARTBEAT_EVERY_MS);
  const exited = new Promise<ChildExit>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      clearInterval(watchdog);
      const outOfMemory = signal === 'SIGKILL' && !killed && (memoryKills() ?? 0) > (killsBefore ?? 0);
      resolve({ code, signal, unresponsive, invalidMessage, stderrTail, lackedToStart, outOfMemory });
    };
    // 'close' comes after the last of its output; a process that couldn't be started has only 'error'.
    child.on('close', end);
    child.on('error', (error) => {
      stderrTail += error.message;
      if (child.pid !== undefined) return;
      const { code } = error as NodeJS.ErrnoException;
      lackedToStart = LACKING.find((lacking) => lacking === code);
      end(null, null);
    });
  });
  return {
    pid: child.pid,
    send: (message) => {
      channel.send(message);
    },
    refuse: (message) => {
      refuse(describeMessage(message));
    },
    exited,
    kill,
  };
}

/** How a child ended, in a few words: "was killed by SIGKILL". It never has what the child wrote or sent. */
export function describeExit(exit: ChildExit): string {
  const { code, signal, unresponsive, invalidMessage, lackedToStart, outOfMemory } = exit;
  if (lackedToStart !== undefined) return `could not be started now (${lackedToStart})`;
  if (outOfMemory === true) return 'was killed because memory ran out';
  if (unresponsive !== undefined) return `hung and was killed: ${unresponsive}`;
  if (invalidMessage !== undefined) return 'sent an unknown message and was killed';
  return signal === null ? `ended with exit code ${code ?? 'none'}` : `was killed by ${signal}`;
}

/** More details, for a log. */
export function exitDetail({ invalidMessage, stderrTail }: ChildExit): string {
  return invalidMessage ?? stderrTail;
}

/** The module beside the calling one, compiled or not. @param name Without extension: './main'. */
export function siblingModule(importMetaUrl: string, name: string): URL {
  return new URL(name + extname(new URL(importMetaUrl).pathname), importMetaUrl);
}
