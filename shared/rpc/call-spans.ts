/** The span of each call: begun before it is let in, ended with it. */

import { status, type Metadata } from '@grpc/grpc-js';

import { isOpen, METHOD_ROLES } from '../access/index.js';
import { DiffusionError, type ErrorCode } from '../foundation/index.js';
import { NO_SPAN, reasonOf, type Span, type Tracer } from '../tracing/index.js';
import type { ObserveCall } from './call-metrics.js';

/** Where W3C Trace Context has the caller's trace. */
const TRACEPARENT_HEADER = 'traceparent';

/** What the service is to blame for, as OpenTelemetry's conventions have it; other spans are not failed. */
const OF_SERVER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

/** Health checks, which come every few seconds, and reflection are not traced. */
export function beginCallSpan(tracer: Tracer, path: string, requestId: string, metadata: Metadata): Span {
  const [, service = '', method = ''] = path.split('/');
  if (isOpen(path) || !METHOD_ROLES.has(path) || service.startsWith('grpc.')) return NO_SPAN;
  const parents = metadata.get(TRACEPARENT_HEADER).map(String);
  return tracer.begin(`${service}/${method}`, {
    kind: 'server',
    traceparent: parents.length === 1 ? parents[0] : undefined,
    attributes: {
      'rpc.system': 'grpc',
      'rpc.service': service,
      'rpc.method': method,
      'diffusion.request_id': requestId,
    },
  });
}

/** Ends the span of a call that has ended. */
export const endCallSpan: ObserveCall = ({ span, error }) => {
  const code = error === undefined ? 'OK' : error instanceof DiffusionError ? error.code : 'INTERNAL';
  span.set({ 'rpc.grpc.status_code': status[code] });
  if (code !== 'OK') {
    if (OF_SERVER.has(code)) span.fail(reasonOf(error));
    else span.set({ 'error.type': reasonOf(error) });
  }
  span.end();
};
