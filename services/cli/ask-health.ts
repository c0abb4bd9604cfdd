/** Asks a service for its health. */

import { makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';

import { deferred, onAbort, type Clock } from '../../shared/foundation/index.js';
import {
  channelSecurity,
  SERVICE_NAMES,
  type ClientSecurity,
  type ServiceName,
} from '../../shared/rpc/index.js';

interface HealthClient {
  check(
    request: { service: string },
    options: { deadline: number },
    callback: (error: ServiceError | null, response?: { status: string | number }) => void,
  ): { cancel(): void };
  close(): void;
}

const ANSWER_WITHIN_MS = 2000;

export interface HealthQuestion {
  readonly address: string;
  /** `live`: whether the process answers. `ready`: whether the service takes calls. */
  readonly kind: 'live' | 'ready';
  readonly security: ClientSecurity;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Such as `SERVING`. @throws the call's error; the signal's reason; DiffusionError for certificates that can't be used. */
export async function askHealth(
  name: ServiceName,
  { address, kind, security, clock, signal }: HealthQuestion,
): Promise<string> {
  const Client = makeGenericClientConstructor(healthService, 'Health');
  const { credentials } = channelSecurity(address, security);
  const client = new Client(address, credentials) as unknown as HealthClient;
  const { promise, resolve, reject } = deferred<string>();
  const service = kind === 'live' ? '' : SERVICE_NAMES[name];
  const deadline = clock.wallMs() + ANSWER_WITHIN_MS;
  const call = client.check({ service }, { deadline }, (error, response) => {
    if (error === null) resolve(String(response?.status));
    else reject(error);
  });
  const stopListening = onAbort(signal, () => {
    call.cancel();
  });
  try {
    return await promise;
  } finally {
    stopListening();
    client.close();
  }
}
