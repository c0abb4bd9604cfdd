/** Who makes a call, handed from the server's access control to the method's handler. */

import type { Metadata } from '@grpc/grpc-js';

import type { Caller } from '../access/index.js';

interface Call {
  readonly metadata: Metadata;
  getPeer(): string;
}

/** By the metadata of the call: nothing that a client sends can become an entry here. */
const known = new WeakMap<Metadata, Caller>();

/** Notes who makes the call that has this metadata. */
export function setCaller(metadata: Metadata, caller: Caller): void {
  known.set(metadata, caller);
}

/** Who makes a call; nobody in particular on a server without access control. */
export function callerOf(call: Call): Caller {
  return known.get(call.metadata) ?? anonymous(call.getPeer());
}

/** @param peer `address:port`; one machine is one caller, whatever number of connections it opens. */
export function anonymous(peer: string): Caller {
  return { caller: `anonymous:${peer.replace(/:\d+$/, '')}`, identity: undefined };
}
