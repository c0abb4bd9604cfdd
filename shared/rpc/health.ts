/**
 * The standard health service (grpc.health.v1). Why not grpc-health-check's own handlers: they answer with the name that
 * was asked for, which grpc-js can't send where it is no valid text, and keep each name that anybody watches.
 */

import type { Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';

import { changes, DiffusionError } from '../foundation/index.js';
import { serverStream, unary, type CallContext, type HandlerOptions } from './handlers.js';

export interface Health {
  /** Of the service and of the whole process. */
  setServing(serving: boolean): void;
  /** Ends watches, which would keep a server from stopping. */
  close(): void;
}

interface HealthRequest {
  readonly service: string;
}

interface HealthResponse {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

/** Adds the health of services, and of the process under the empty name; NOT_SERVING at first. */
export function addHealth(server: Server, services: readonly string[], options: HandlerOptions): Health {
  const names = ['', ...services];
  const closed = new AbortController();
  let serving = false;
  const servingChanges = changes();

  const statusOf = (name: string): HealthResponse['status'] => {
    if (!names.includes(name)) return 'SERVICE_UNKNOWN';
    return serving ? 'SERVING' : 'NOT_SERVING';
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
      if (status === sent) await servingChanges.next(either);
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
    setServing: (now) => {
      serving = now;
      servingChanges.notify();
    },
    close: () => {
      closed.abort(new DiffusionError('SERVICE_STOPPING', 'the service is stopping'));
    },
  };
}
