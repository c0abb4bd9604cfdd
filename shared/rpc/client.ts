/** Calls as promises and async iterables, errors as DiffusionError. */

import {
  connectivityState,
  Metadata,
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';

import {
  changes,
  deferred,
  DiffusionError,
  onAbort,
  systemClock,
  unlessAborted,
} from '../foundation/index.js';
import { MeasureServiceClient } from '../contract/generated/diffusion/measure/v1/measure.js';
import { SamplerServiceClient } from '../contract/generated/diffusion/sampler/v1/sampler.js';
import { TrainerServiceClient } from '../contract/generated/diffusion/trainer/v1/trainer.js';
import { channelSecurity, type ClientSecurity } from './client-security.js';
import { fromServiceError } from './status.js';

const CHANNEL_OPTIONS: ChannelOptions = {
  // The default window of 64 KiB halves the throughput of images; retries would buffer whole streams.
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // A machine that fails closes no connection: without pings a call would never end. Pings are sent during calls
  // only. grpc-js's server takes any number of them; where another one objects, grpc-js doubles the time.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // The default is two minutes, for which a server that is back would not be noticed.
  'grpc.max_reconnect_backoff_ms': 5000,
};

export interface ConnectOptions {
  readonly security?: ClientSecurity;
  /** Take the place of ours. */
  readonly channel?: ChannelOptions;
}

/** @param address `host:port`. @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE). */
export function connectTrainer(address: string, options: ConnectOptions = {}): TrainerServiceClient {
  return new TrainerServiceClient(address, ...connection(address, options));
}

/** @param address `host:port`. @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE). */
export function connectSampler(address: string, options: ConnectOptions = {}): SamplerServiceClient {
  return new SamplerServiceClient(address, ...connection(address, options));
}

/** @param address `host:port`. @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE). */
export function connectMeasure(address: string, options: ConnectOptions = {}): MeasureServiceClient {
  return new MeasureServiceClient(address, ...connection(address, options));
}

function connection(
  address: string,
  { security = {}, channel = {} }: ConnectOptions,
): [ChannelCredentials, ClientOptions] {
  const { credentials, options } = channelSecurity(address, security);
  return [credentials, { ...CHANNEL_OPTIONS, ...channel, ...options }];
}

export interface ReadyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether a connection that fails (nothing listens, no such name, a certificate that isn't trusted) is tried again. */
  readonly tries: 'again' | 'once';
}

/**
 * Resolves when the server can be reached.
 *
 * @throws DiffusionError UNAVAILABLE (reason SERVICE_UNREACHABLE) after `timeoutMs`, or at once where a connection that is
 * tried once fails; the signal's reason.
 */
export async function whenReady(
  client: Client,
  timeoutMs: number,
  { signal, tries }: ReadyOptions = { tries: 'again' },
): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = deferred();
  const channel = client.getChannel();
  const deadline = deadlineAfter(timeoutMs);
  const fail = (cause?: Error): void => {
    const text = `no service answers at ${channel.getTarget()}`;
    reject(new DiffusionError('SERVICE_UNREACHABLE', text, { cause }));
  };
  const look = (late?: Error): void => {
    if (late !== undefined || signal?.aborted === true) {
      fail(late);
      return;
    }
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) resolve();
    else if (state === connectivityState.TRANSIENT_FAILURE && tries === 'once') fail();
    else channel.watchConnectivityState(state, deadline, look);
  };
  look();
  await unlessAborted(promise, signal);
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
  const stopListening = onAbort(limits.signal, () => {
    call.cancel();
  });
  try {
    return await promise;
  } finally {
    stopListening();
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
  const stopListening = onAbort(limits.signal, () => {
    call.cancel();
  });
  try {
    yield* messagesOf(call);
  } catch (error) {
    throw fromServiceError(error);
  } finally {
    stopListening();
    call.cancel();
  }
}

/**
 * All messages, then the error where there is one. A stream's own iterator throws at once, and the last messages before the
 * error, such as resume tokens, would be lost.
 */
async function* messagesOf<Response>(call: ClientReadableStream<Response>): AsyncGenerator<Response> {
  const changed = changes();
  let end: { readonly error?: Error } | undefined;
  call.on('readable', changed.notify);
  call.on('end', () => {
    end ??= {};
    changed.notify();
  });
  call.on('error', (error: Error) => {
    end = { error };
    changed.notify();
  });
  for (;;) {
    const message = call.read() as Response | null;
    if (message !== null) yield message;
    else if (end === undefined) await changed.next();
    else if (end.error === undefined) return;
    else throw end.error;
  }
}

function callOptions({ timeoutMs }: CallLimits): Partial<CallOptions> {
  return timeoutMs === undefined ? {} : { deadline: deadlineAfter(timeoutMs) };
}

// A timer of Node's that is set to more fires at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** None where it is later than a timer can be set to, 24.8 days. */
function deadlineAfter(timeoutMs: number): number {
  return timeoutMs > LONGEST_TIMER_MS ? Infinity : systemClock.wallMs() + timeoutMs;
}
