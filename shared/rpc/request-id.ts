/** The id of a call, by which its line in the log is found: the caller's own, where it sends one. */

import { randomUUID } from 'node:crypto';

import type { Metadata } from '@grpc/grpc-js';

/** The header in which callers send an id, and get the call's id back with its status. */
export const REQUEST_ID_HEADER = 'x-request-id';

/** What may stand in a log and in a header as it is. */
const SANE = /^[\w.:/+=@-]{1,128}$/;

export function requestIdOf(metadata: Metadata): string {
  const [id] = metadata.get(REQUEST_ID_HEADER).map(String);
  return id !== undefined && SANE.test(id) ? id : randomUUID();
}
