/** Whether a service answers and reports SERVING. */

import { credentials, makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';

import { DEFAULT_ADDRESSES, fromServiceError, type ServiceName } from '../../../shared/rpc/index.js';
import { deferred, onAbort, type Clock } from '../../../shared/foundation/index.js';
import { startRemedy } from '../connect.js';
import type { Finding } from './finding.js';

interface HealthClient {
  check(
    request: { service: string },
    options: { deadline: number },
    callback: (error: ServiceError | null, response?: { status: string | number }) => void,
  ): { cancel(): void };
  close(): void;
}

const ANSWER_WITHIN_MS = 2000;

/**
 * @param named The address, where the user named one; a service at the default address need not run.
 * @throws the signal's reason.
 */
export async function checkService(
  name: ServiceName,
  named: string | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<Finding> {
  const at = named ?? DEFAULT_ADDRESSES[name];
  const Client = makeGenericClientConstructor(healthService, 'Health');
  const client = new Client(at, credentials.createInsecure()) as unknown as HealthClient;
  const { promise, resolve, reject } = deferred<string>();
  const deadline = clock.wallMs() + ANSWER_WITHIN_MS;
  const call = client.check({ service: '' }, { deadline }, (error, response) => {
    if (error === null) resolve(String(response?.status));
    else reject(error);
  });
  const stopListening = onAbort(signal, () => {
    call.cancel();
  });
  try {
    const status = await promise;
    return status === 'SERVING'
      ? { name, state: 'ok', text: `serving at ${at}` }
      : {
          name,
          state: 'wrong',
          text: `${status} at ${at}`,
          remedy: "wait for it to be ready, or see the service's log",
        };
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = fromServiceError(error);
    if (code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED') {
      return {
        name,
        state: named === undefined ? 'absent' : 'wrong',
        text: `nothing answers at ${at}`,
        remedy: startRemedy(name),
      };
    }
    return {
      name,
      state: 'wrong',
      text: `${at}: ${message}`,
      remedy: 'another program listens there; use another address',
    };
  } finally {
    stopListening();
    client.close();
  }
}
