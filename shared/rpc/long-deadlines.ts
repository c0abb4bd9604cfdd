/** Deadlines that are later than a timer of Node's can be set to. */

import type { Server } from '@grpc/grpc-js';

import { http2ServersOf } from './connections.js';

const TIMEOUT_HEADER = 'grpc-timeout';
/** As grpc-js 1.14.7 reads it. */
const TIMEOUT = /(\d{1,8})\s*([HMSmun])/;
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 1e-6,
};
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Takes a deadline of more than 24.8 days as none. grpc-js 1.14.7 cuts its milliseconds to 32 bits: the deadline would
 * have passed already, or pass at any time. The client keeps its own. Call when the server is bound.
 */
export function acceptLongDeadlines(server: Server): void {
  for (const http2Server of http2ServersOf(server))
    http2Server.prependListener('stream', (_stream, headers) => {
      const [, amount, unit = ''] = TIMEOUT.exec(String(headers[TIMEOUT_HEADER])) ?? [];
      if (Number(amount) * (UNIT_MS[unit] ?? 0) > LONGEST_TIMER_MS)
        Reflect.deleteProperty(headers, TIMEOUT_HEADER);
    });
}
