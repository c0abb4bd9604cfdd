/** A child process's side of the conversation with its parent; it doesn't outlive the parent. */

import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

import { openChannel } from './channel.js';
import { CHANNEL_FD, describeMessage, heartbeatOf, HEARTBEAT_EVERY_MS, type Protocol } from './protocol.js';

// A thread of its own, so that a child whose main thread is deep in a native call dies with its parent, too.
const PARENT_WATCH = `
  const parent = process.ppid;
  setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);
`;

export interface ParentPort<ToParent> {
  send(message: ToParent): void;
}

/**
 * Listens to the parent and sends heartbeats. Call once, in a process made by `startChild`. The process ends with exit
 * code 1 when the parent is gone, and over a message that is none of the protocol's.
 *
 * @param overdue Says, in a sentence, which work of the process is overdue; the parent then kills it. The
 * event loop is free, and sends heartbeats, while other threads work.
 */
export function connectToParent<FromParent extends object, ToParent extends object>(
  protocol: Protocol<FromParent, ToParent>,
  onMessage: (message: FromParent) => void,
  overdue: () => string | undefined = () => undefined,
): ParentPort<ToParent> {
  new Worker(PARENT_WATCH, { eval: true, execArgv: [] }).unref();
  const end = (why: string): never => {
    // The parent keeps the end of what is written here.
    console.error(`the parent process: ${why}`);
    process.exit(1);
  };
  const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  socket.on('close', () => process.exit(1));
  const channel = openChannel(socket, {
    maxBytes: protocol.maxMessageBytes,
    onValue: (value) => {
      const message = protocol.toChild.safeParse(value);
      if (message.success) onMessage(message.data);
      else end(describeMessage(value));
    },
    onBroken: end,
  });
  setInterval(() => {
    channel.send(heartbeatOf(overdue()));
  }, HEARTBEAT_EVERY_MS).unref();
  return {
    send: (message) => {
      channel.send(message);
    },
  };
}
