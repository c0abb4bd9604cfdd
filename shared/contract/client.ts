/** Calls as promises and async iterables, errors as DiffusionError. */

import {
  credentials,
  Metadata,
  type CallOptions,
  type Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';

import { deferred, DiffusionError, systemClock } from '../foundation/index.js';
import { SamplerServiceClient } from './generated/diffusion/sampler/v1/sampler.js';
import { TrainerServiceClient } from './generated/diffusion/trainer/v1/trainer.js';
import { fromServiceError } from './status.js';

// The default window of 64 KiB halves the throughput of images; retries would buffer whole streams.
const CHANNEL_OPTIONS = {
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
};

/** @param address `host:port`. */
export function connectTrainer(address: string): TrainerServiceClient {
  return new TrainerServiceClient(address, credentials.createInsecure(), CHANNEL_OPTIONS);
}

/** @param address `host:port`. */
export function connectSampler(address: string): SamplerServiceClient {
  return new SamplerServiceClient(address, credentials.createInsecure(), CHANNEL_OPTIONS);
}

/** Resolves when the server can be reached. @throws DiffusionError UNAVAILABLE after `timeoutMs`. */
export async function whenReady(client: Client, timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = deferred();
  client.waitForReady(systemClock.wallMs() + timeoutMs, (error) => {
    if (error === undefined) resolve();
    else {
      const target = client.getChannel().getTarget();
      reject(new DiffusionError('UNAVAILABLE', `no service answers at ${target}`, { cause: error }));
    }
  });
  await promise;
}

export interface CallLimits {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

type StreamMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
) => ClientReadableStream<Response>;

/** Makes one unary call. @throws DiffusionError as the server sent it. */
export async function callUnary<Request, Response>(
  client: Client,
  method: UnaryMethod<Request, Response>,
  request: Request,
  limits: CallLimits = {},
): Promise<Response> {
  limits.signal?.throwIfAborted();
  const { promise, resolve, reject } = deferred<Response>();
  const call = method.call(client, request, new Metadata(), callOptions(limits), (error, response) => {
    if (error === null) resolve(response);
    else reject(fromServiceError(error));
  });
  const cancel = (): void => {
    call.cancel();
  };
  limits.signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await promise;
  } finally {
    limits.signal?.removeEventListener('abort', cancel);
  }
}

/** The messages of a server stream; leaving the loop early cancels the call. @throws DiffusionError. */
export async function* callStream<Request, Response>(
  client: Client,
  method: StreamMethod<Request, Response>,
  request: Request,
  limits: CallLimits = {},
): AsyncGenerator<Response> {
  limits.signal?.throwIfAborted();
  const call = method.call(client, request, new Metadata(), callOptions(limits));
  const cancel = (): void => {
    call.cancel();
  };
  limits.signal?.addEventListener('abort', cancel, { once: true });
  try {
    for await (const message of call) yield message as Response;
  } catch (error) {
    throw fromServiceError(error);
  } finally {
    limits.signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}

function callOptions({ timeoutMs }: CallLimits): Partial<CallOptions> {
  return timeoutMs === undefined ? {} : { deadline: systemClock.wallMs() + timeoutMs };
}
