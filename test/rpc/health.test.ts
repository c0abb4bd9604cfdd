import { Server, ServerCredentials, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import test from 'ava';
import { service } from 'grpc-health-check';

import { deferred } from '../../shared/foundation/index.js';
import { accessControl } from '../../shared/rpc/access-control.js';
import { addHealth } from '../../shared/rpc/health.js';
import { readiness } from '../../shared/rpc/readiness.js';
import { fromServiceError } from '../../shared/rpc/index.js';
import { securityOf } from './security.js';

interface HealthClient {
  watch(request: { service: string }): AsyncIterable<{ status: string }> & { cancel(): void };
  close(): void;
}

test('a watch tells each change of health once, and ends with the service', async (t) => {
  const ignored = { report: () => undefined, onUnusable: () => undefined, onRefused: () => undefined };
  const { interceptor } = await accessControl(securityOf().access, ignored);
  const server = new Server({ interceptors: [interceptor] });
  const told: string[] = [];
  const ready = readiness((problems) => told.push(problems.join()));
  const health = addHealth(server, ['test.Service'], ready, {
    report: (error) => {
      t.fail(String(error));
    },
    stallTimeoutMs: 60_000,
  });
  const { promise, resolve } = deferred<number>();
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_, port) => {
    resolve(port);
  });
  const Client = makeGenericClientConstructor(service, 'Health');
  const address = `127.0.0.1:${await promise}`;
  const client = new Client(address, credentials.createInsecure()) as unknown as HealthClient;

  const call = client.watch({ service: 'test.Service' });
  const statuses: string[] = [];
  const error: unknown = await (async () => {
    for await (const { status } of call) {
      statuses.push(status);
      // The same health again is no change.
      ready.set('store', undefined);
      if (statuses.length === 1) ready.set('start', undefined);
      if (statuses.length === 2) ready.set('store', 'it does not answer');
      if (statuses.length === 3) ready.set('store', undefined);
      if (statuses.length === 4) health.close();
    }
  })().catch((thrown: unknown) => thrown);

  t.deepEqual(statuses, ['NOT_SERVING', 'SERVING', 'NOT_SERVING', 'SERVING']);
  t.deepEqual(told, ['', 'it does not answer', '']);
  t.like(fromServiceError(error), { code: 'UNAVAILABLE', reason: 'SERVICE_STOPPING' });
  // The process lives, whatever the service is.
  ready.set('engine', 'it can not be started');
  for await (const { status } of firstOf(client.watch({ service: '' }))) t.is(status, 'SERVING');
  client.close();
  server.forceShutdown();
});

async function* firstOf<T>(stream: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const item of stream) {
    yield item;
    return;
  }
}
