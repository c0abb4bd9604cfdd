/** Connections to the two services; where none answers, the error says how to start one. */

import {
  connectSampler,
  connectTrainer,
  DEFAULT_ADDRESSES,
  whenReady,
  type ServiceName,
} from '../../shared/rpc/index.js';
import { type samplerWire, type trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { SAMPLER_VARIABLE, TRAINER_VARIABLE } from './config.js';
import { address, option } from './options.js';

export type TrainerClient = trainerWire.TrainerServiceClient;
export type SamplerClient = samplerWire.SamplerServiceClient;

export const trainerAddress = option(address, "the trainer's address", {
  fallback: DEFAULT_ADDRESSES.trainer,
  environment: TRAINER_VARIABLE,
});

export const samplerAddress = option(address, "the sampler's address", {
  fallback: DEFAULT_ADDRESSES.sampler,
  environment: SAMPLER_VARIABLE,
});

/** How long a service may take to answer at all. */
const REACHABLE_WITHIN_MS = 3000;

/** @throws DiffusionError UNAVAILABLE with a remedy where no trainer answers; the signal's reason. */
export async function withTrainer<T>(
  at: string,
  signal: AbortSignal,
  use: (client: TrainerClient) => Promise<T>,
): Promise<T> {
  return withClient('trainer', at, connectTrainer(at), signal, use);
}

/** @throws DiffusionError UNAVAILABLE with a remedy where no sampler answers; the signal's reason. */
export async function withSampler<T>(
  at: string,
  signal: AbortSignal,
  use: (client: SamplerClient) => Promise<T>,
): Promise<T> {
  return withClient('sampler', at, connectSampler(at), signal, use);
}

async function withClient<Client extends TrainerClient | SamplerClient, T>(
  service: ServiceName,
  at: string,
  client: Client,
  signal: AbortSignal,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  try {
    await whenReady(client, REACHABLE_WITHIN_MS, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new DiffusionError('SERVICE_UNREACHABLE', `no ${service} answers at ${at}`, {
        cause,
        metadata: { remedy: startRemedy(service) },
      });
    });
    return await use(client);
  } finally {
    client.close();
  }
}

/** How to get a service that doesn't answer. */
export function startRemedy(service: ServiceName): string {
  return `start one with: npx ip-diffusion serve ${service}`;
}
