/** A TCP proxy in front of a server that can vanish as a machine does: connections stay open, and nothing comes. */

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import type { ExecutionContext } from 'ava';

import { deferred } from '../../shared/foundation/index.js';

export interface VanishingPeer {
  readonly address: string;
  vanish(): void;
  /** Resolves when somebody has tried to connect since it vanished. */
  missed(): Promise<void>;
  /** Serves those who connected meanwhile, and knows nothing of connections that it had before. */
  comeBack(): void;
}

export async function vanishingPeer(t: ExecutionContext, target: string): Promise<VanishingPeer> {
  const port = Number(target.split(':')[1]);
  const served = new Set<Socket>();
  const waiting = new Set<Socket>();
  const missed = deferred();
  let isAway = false;

  function serve(client: Socket): void {
    const server = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      served.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  }

  const listener = createServer((client) => {
    client.on('error', () => undefined);
    if (!isAway) {
      serve(client);
      return;
    }
    waiting.add(client);
    missed.resolve();
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.teardown(() => {
    listener.close();
    for (const socket of [...served, ...waiting]) socket.destroy();
  });
  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    vanish: () => {
      isAway = true;
      for (const socket of served) socket.unpipe().pause();
    },
    missed: () => missed.promise,
    comeBack: () => {
      isAway = false;
      for (const socket of served) socket.destroy();
      served.clear();
      for (const client of waiting) serve(client);
      waiting.clear();
    },
  };
}
