/** Who makes a call, handed from the server's access control to the method's handler. */

import type { Metadata } from '@grpc/grpc-js';

import type { Caller } from '../access/index.js';
import type { Span } from '../tracing/index.js';

/** Who makes a call, and which call it is. */
export interface CallIdentity extends Caller {
  readonly requestId: string;
  /** Of the call. Whoever ends the call ends it. */
  readonly span: Span;
}

/** A call that was let in. */
export interface AdmittedCall extends CallIdentity {
  /** Aborts with the error of the call where its token runs out, or is revoked, while the call is under way. */
  readonly revoked: AbortSignal;
}

interface Call {
  readonly metadata: Metadata;
}

/** By the metadata of the call: nothing that a client sends can become an entry here. */
const known = new WeakMap<Metadata, AdmittedCall>();

/** Notes who makes the call that has this metadata. */
export function setCaller(metadata: Metadata, caller: AdmittedCall): void {
  known.set(metadata, caller);
}

/** Who makes a call; undefined for one that did not come through access control. */
export function knownCaller({ metadata }: Call): AdmittedCall | undefined {
  return known.get(metadata);
}

/** Who makes a call. @throws Error for one that did not come through access control: nothing is let in around it. */
export function callerOf(call: Call): AdmittedCall {
  const caller = knownCaller(call);
  if (caller === undefined) throw new Error('a call reached its handler without access control');
  return caller;
}

/** @param peer As `addressOf` takes it; one machine is one caller, whatever number of connections it opens. */
export function anonymous(peer: string): Caller {
  return { caller: `anonymous:${addressOf(peer)}`, identity: undefined };
}

/** @param peer `address:port`. */
export function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, '');
}
