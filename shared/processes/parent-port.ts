/** A child process's side of the conversation with its parent; it doesn't outlive the parent. */

import { Worker } from 'node:worker_threads';

import { HEARTBEAT_EVERY_MS, type Heartbeat } from './child-process.js';

// A thread of its own, so that a child whose main thread is deep in a native call dies with its parent, too.
const PARENT_WATCH = `
  const parent = process.ppid;
  setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);
`;

export interface ParentPort<ToParent> {
  send(message: ToParent): void;
}

/**
 * Listens to the parent and sends heartbeats. Call once, in a process made by `startChild`.
 *
 * @param overdue Says, in a sentence, what of the process's work doesn't come to an end; the parent then kills it. The
 * event loop is free, and sends heartbeats, while other threads work.
 */
// What the parent sends is the caller's to say, as with any message that is parsed.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
export function connectToParent<FromParent, ToParent extends object>(
  onMessage: (message: FromParent) => void,
  overdue: () => string | undefined = () => undefined,
): ParentPort<ToParent> {
  new Worker(PARENT_WATCH, { eval: true, execArgv: [] }).unref();
  process.on('message', (message) => {
    onMessage(message as FromParent);
  });
  process.on('disconnect', () => process.exit(1));
  const send = (message: ToParent | Heartbeat): void => {
    if (process.connected) process.send?.(message, undefined, {}, () => undefined);
  };
  setInterval(() => {
    const late = overdue();
    send(late === undefined ? { heartbeat: true } : { heartbeat: true, overdue: late });
  }, HEARTBEAT_EVERY_MS).unref();
  return { send };
}
