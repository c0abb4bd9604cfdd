/** Calls that are under way: they end where their token runs out or is revoked. */

import { requireRole, type Authentication, type Credentials, type Identity } from '../access/index.js';

export interface OpenCall {
  /** The method. */
  readonly path: string;
  readonly credentials: Credentials;
  readonly identity: Identity;
  /** Aborted with the error of the call. */
  readonly revoked: AbortController;
}

export interface OpenCalls {
  /** @returns what ends the checks of the call. */
  begin(call: OpenCall): () => void;
  close(): void;
}

/**
 * Checks all calls that are under way now and then: whether their credentials are still those of an identity that may
 * call the method.
 */
export function openCalls(identifyAgain: Authentication['identifyAgain'], everyMs: number): OpenCalls {
  const calls = new Set<OpenCall>();

  function check(call: OpenCall): void {
    try {
      requireRole(call.path, identifyAgain(call.credentials, call.identity));
    } catch (error) {
      calls.delete(call);
      call.revoked.abort(error);
    }
  }

  const timer = setInterval(() => {
    for (const call of calls) check(call);
  }, everyMs).unref();

  return {
    begin: (call) => {
      calls.add(call);
      return () => {
        calls.delete(call);
      };
    },
    close: () => {
      clearInterval(timer);
    },
  };
}
