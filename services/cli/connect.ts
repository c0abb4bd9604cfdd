/** Connections to the two services; where none answers, the error says how to start one. */

import {
  connectMeasure,
  connectSampler,
  connectTrainer,
  DEFAULT_ADDRESSES,
  isLoopback,
  SYSTEM_CA,
  whenReady,
  type ClientSecurity,
  type ServiceName,
} from '../../shared/rpc/index.js';
import { type measureWire, type samplerWire, type trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { CLIENT_VARIABLES, SAMPLER_VARIABLE, TRAINER_VARIABLE } from './config.js';
import { address, integer, option, text } from './options.js';

export type TrainerClient = trainerWire.TrainerServiceClient;
export type SamplerClient = samplerWire.SamplerServiceClient;
export type MeasureClient = measureWire.MeasureServiceClient;

/** What every command that connects takes beside the address. */
export const securityOptions = {
  ca: option(
    text(`FILE|${SYSTEM_CA}`),
    `connect with TLS: the certificate authorities, in PEM, to trust for the service's certificate; ${SYSTEM_CA} for those that Node trusts`,
    { environment: CLIENT_VARIABLES.ca },
  ),
  cert: option(text('FILE'), 'a certificate to show to the service', { environment: CLIENT_VARIABLES.cert }),
  key: option(text('FILE'), "the certificate's key", { environment: CLIENT_VARIABLES.key }),
  tokenFile: option(text('FILE'), 'a file with the token that goes with each call', {
    environment: CLIENT_VARIABLES.tokenFile,
  }),
};

const MAX_WAIT_SECONDS = 86_400;

/** What commands that make calls take besides. */
export const connectionOptions = {
  ...securityOptions,
  wait: option(
    integer(0, MAX_WAIT_SECONDS, 'SECONDS'),
    'how long to wait for a service that does not listen yet',
    { fallback: 0 },
  ),
};

export const trainerConnection = {
  address: option(address, "the trainer's address", {
    fallback: DEFAULT_ADDRESSES.trainer,
    environment: TRAINER_VARIABLE,
  }),
  ...connectionOptions,
};

export const samplerConnection = {
  address: option(address, "the sampler's address", {
    fallback: DEFAULT_ADDRESSES.sampler,
    environment: SAMPLER_VARIABLE,
  }),
  ...connectionOptions,
};

/** Where a service is, and what the connection needs. */
export interface Connection extends ClientSecurity {
  readonly address: string;
  /** Seconds in which a connection that fails is tried again; default: it is tried once. */
  readonly wait?: number | undefined;
}

/** How long a machine may take to answer at all. */
const REACHABLE_WITHIN_MS = 3000;

/** @throws DiffusionError UNAVAILABLE with a remedy where no trainer answers; the signal's reason. */
export async function withTrainer<T>(
  connection: Connection,
  signal: AbortSignal,
  use: (client: TrainerClient) => Promise<T>,
): Promise<T> {
  const client = connectTrainer(connection.address, { security: connection });
  return withClient('trainer', connection, client, signal, use);
}

/** @throws DiffusionError UNAVAILABLE with a remedy where no sampler answers; the signal's reason. */
export async function withSampler<T>(
  connection: Connection,
  signal: AbortSignal,
  use: (client: SamplerClient) => Promise<T>,
): Promise<T> {
  const client = connectSampler(connection.address, { security: connection });
  return withClient('sampler', connection, client, signal, use);
}

/** The sampler's measurements. @throws as `withSampler`. */
export async function withMeasure<T>(
  connection: Connection,
  signal: AbortSignal,
  use: (client: MeasureClient) => Promise<T>,
): Promise<T> {
  const client = connectMeasure(connection.address, { security: connection });
  return withClient('sampler', connection, client, signal, use);
}

async function withClient<Client extends TrainerClient | SamplerClient | MeasureClient, T>(
  service: ServiceName,
  { address: at, ca, wait = 0 }: Connection,
  client: Client,
  signal: AbortSignal,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  try {
    const limitMs = Math.max(REACHABLE_WITHIN_MS, 1000 * wait);
    const tries = wait > 0 ? 'again' : 'once';
    await whenReady(client, limitMs, { signal, tries }).catch((cause: unknown) => {
      signal.throwIfAborted();
      const how = ca === undefined ? '' : ' with TLS by a certificate that is trusted';
      throw new DiffusionError('SERVICE_UNREACHABLE', `no ${service} answers at ${at}${how}`, {
        cause,
        metadata: {
          remedy:
            ca === undefined && !isLoopback(at)
              ? TLS_REMEDY
              : `${startRemedy(service)}; or wait for one that is starting: --wait 30`,
        },
      });
    });
    return await use(client);
  } finally {
    client.close();
  }
}

const TLS_REMEDY = 'a service with TLS needs --ca, or IP_DIFFUSION_CA_FILE';

/** How to get a service that doesn't answer. */
export function startRemedy(service: ServiceName): string {
  return `start one with: npx ip-diffusion serve ${service}`;
}
