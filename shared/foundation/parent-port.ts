/** A child process's side of the conversation with its parent; it doesn't outlive the parent. */

import { Worker } from 'node:worker_threads';

import { HEARTBEAT, HEARTBEAT_EVERY_MS } from './child-process.js';

// A thread of its own, so that a child whose main thread is deep in a native call dies with its parent, too.
const PARENT_WATCH = `
  const parent = process.ppid;
  setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);
`;

export interface ParentPort<ToParent> {
  send(message: ToParent): void;
}

/** Listens to the parent and sends heartbeats. Call once, in a process made by `startChild`. */
// What the parent sends is the caller's to say, as with any message that is parsed.
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
export function connectToParent<FromParent, ToParent extends object>(
  onMessage: (message: FromParent) => void,
): ParentPort<ToParent> {
  new Worker(PARENT_WATCH, { eval: true, execArgv: [] }).unref();
  process.on('message', (message) => {
    onMessage(message as FromParent);
  });
  process.on('disconnect', () => process.exit(1));
  const send = (message: ToParent | typeof HEARTBEAT): void => {
    if (process.connected) process.send?.(message, undefined, {}, () => undefined);
  };
  setInterval(() => {
    send(HEARTBEAT);
  }, HEARTBEAT_EVERY_MS).unref();
  return { send };
}
