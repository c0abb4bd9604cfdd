/**
 * The standard health service (grpc.health.v1). Why not grpc-health-check's own handlers: they answer with the name that
 * was asked for, which grpc-js can't send where it is no valid text, and keep each name that anybody watches.
 */

import type { Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';

import { DiffusionError } from '../foundation/index.js';
import type { Readiness } from './readiness.js';
import { serverStream, unary, type CallContext, type HandlerOptions } from './handlers.js';

export interface Health {
  /** Ends watches, which would keep a server from stopping. */
  close(): void;
}

interface HealthRequest {
  readonly service: string;
}

interface HealthResponse {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

/**
 * Adds two answers. The empty name is the process: SERVING as long as it answers, so that nobody restarts it because its
 * store is unavailable. The services' names are SERVING while they are ready.
 */
export function addHealth(
  server: Server,
  services: readonly string[],
  readiness: Pick<Readiness, 'isReady' | 'changes'>,
  options: HandlerOptions,
): Health {
  const names = ['', ...services];
  const closed = new AbortController();

  const statusOf = (name: string): HealthResponse['status'] => {
    if (!names.includes(name)) return 'SERVICE_UNKNOWN';
    return name === '' || readiness.isReady() ? 'SERVING' : 'NOT_SERVING';
  };

  function check({ service: name }: HealthRequest): HealthResponse {
    const status = statusOf(name);
    if (status !== 'SERVICE_UNKNOWN') return { status };
    throw new DiffusionError(
      'SERVICE_NOT_FOUND',
      `wanted the service ${services.join(' or ')}; this server has no other`,
    );
  }

  async function* watch(
    { service: name }: HealthRequest,
    { signal }: CallContext,
  ): AsyncGenerator<HealthResponse> {
    const either = AbortSignal.any([signal, closed.signal]);
    let sent: HealthResponse['status'] | undefined;
    for (;;) {
      const status = statusOf(name);
      if (status === sent) await readiness.changes.next(either);
      else {
        sent = status;
        yield { status };
      }
    }
  }

  const implementation: UntypedServiceImplementation = {
    check: unary(check, options),
    watch: serverStream(watch, options),
    list: unary(
      () => ({ statuses: Object.fromEntries(names.map((name) => [name, { status: statusOf(name) }])) }),
      options,
    ),
  };
  server.addService(service, implementation);
  return {
    close: () => {
      closed.abort(new DiffusionError('SERVICE_STOPPING', 'the service is stopping'));
    },
  };
}
