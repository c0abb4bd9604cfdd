/** A gRPC server with health, reflection and limits; the services add their methods. */

import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

import { isOpen } from '../access/index.js';
import { descriptors } from '../contract/index.js';
import { deferred, DiffusionError } from '../foundation/index.js';
import type { Tracer } from '../tracing/index.js';
import { accessControl } from './access-control.js';
import {
  CONNECTION_LIMITS,
  connectionOptions,
  limitConnections,
  type ConnectionLimits,
} from './connections.js';
import type { HandlerOptions } from './handlers.js';
import { addHealth } from './health.js';
import { acceptLongDeadlines } from './long-deadlines.js';
import { metricsEndpoint, type ServedMetrics } from './metrics-endpoint.js';
import { readiness, type Readiness } from './readiness.js';
import { limitReceiving, type ReceivingLimits } from './receiving.js';
import type { ServiceLog } from './service-program.js';
import type { ServerSecurity } from './security-settings.js';
import { tlsCredentials, type WatchedCredentials } from './tls.js';

const DEFAULT_MAX_REQUEST_BYTES = 1024 * 1024;
const RECEIVING = { maxBytes: 64 * 1024 * 1024, timeoutMs: 60_000 };
const MAX_RESPONSE_BYTES = 4 * 1024 * 1024;

export interface GrpcServer {
  /** The port that is listened on. */
  readonly port: number;
  /** That of the metrics; undefined where they are not served. */
  readonly metricsPort: number | undefined;
  /** Whether it says that it is ready: not before whoever started it says so, nor once it stops. */
  readonly readiness: Readiness;
  /**
   * Is not ready and refuses new calls (reason SERVICE_STOPPING) from now on, calls `end` to let streams end themselves, and
   * closes what is left after the grace.
   */
  stop(end: () => Promise<void>, graceMs: number): Promise<void>;
}

/** A service, by its full name. */
export type ServedService = Pick<GrpcServerOptions, 'service' | 'serviceName' | 'implementation'>;

export interface GrpcServerOptions extends HandlerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly security: ServerSecurity;
  /** Undefined where metrics are not served. */
  readonly metrics?: ServedMetrics | undefined;
  /** The server closes it when it stops. */
  readonly tracer?: Tracer | undefined;
  readonly log: Pick<ServiceLog, 'info' | 'warn' | 'debug'>;
  readonly service: ServiceDefinition;
  /** The service's full name, for health. */
  readonly serviceName: string;
  readonly implementation: UntypedServiceImplementation;
  /** Further services of the same server. */
  readonly others?: readonly ServedService[];
  readonly reflection: boolean;
  /** A larger request is refused with RESOURCE_EXHAUSTED; default 1 MiB. */
  readonly maxRequestBytes?: number;
  /** Of all requests together; default 64 MiB, a minute. */
  readonly receiving?: ReceivingLimits;
  /** Default: 10,000 connections, a ping every minute, 20 s for its answer. */
  readonly connections?: ConnectionLimits;
}

/**
 * @throws DiffusionError UNAVAILABLE where the address, or that of the metrics, can't be listened on; FAILED_PRECONDITION (reason
 * CREDENTIALS_UNUSABLE) for certificates, keys or identities that can't be used.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { security, report, log, metrics, connections = CONNECTION_LIMITS } = options;
  const onUnusable = ({ message }: DiffusionError): void => {
    log.warn(`${message}; what was read before stays in use`);
  };
  if (security.warning !== undefined) log.warn(security.warning);
  if (metrics?.warning !== undefined) log.warn(metrics.warning);
  const ready = readiness((problems) => {
    if (problems.length === 0) log.info('ready');
    else log.warn({ problems }, 'not ready');
  });
  let isStopping = false;
  const tls = await credentialsOf(security, onUnusable);
  const access = await accessControl(security.access, {
    report,
    tracer: options.tracer,
    onUnusable,
    checkAccepting: (path) => {
      if (isStopping && !isOpen(path)) throw serviceStopping();
    },
    onRefused: (error, call) => {
      options.onCall?.({ ...call, error, ms: undefined });
      if (!(error instanceof DiffusionError)) return;
      const { reason, message, cause } = error;
      const { span, ...known } = call;
      log.debug({ ...known, ...span.ids, reason, cause }, message);
    },
  });
  const server = new Server({
    interceptors: [access.interceptor],
    'grpc.max_receive_message_length': options.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES,
    'grpc.max_send_message_length': MAX_RESPONSE_BYTES,
    ...connectionOptions(connections),
    'grpc.enable_channelz': 0,
    'grpc.so_reuseport': 0,
  });
  const served: readonly ServedService[] = [options, ...(options.others ?? [])];
  const names = served.map(({ serviceName }) => serviceName);
  const health = addHealth(server, names, ready, options);
  if (options.reflection) reflectionService([...names, HEALTH_NAME]).addToServer(server);
  for (const { service, implementation } of served) server.addService(service, implementation);
  const endpoint = metrics && (await metricsEndpoint(metrics, onUnusable));
  const port = await bind(server, options.address, tls.credentials).catch(async (error: unknown) => {
    await endpoint?.close();
    throw error;
  });
  limitConnections(server, connections);
  acceptLongDeadlines(server);
  limitReceiving(server, names, options.receiving ?? RECEIVING);
  return {
    port,
    metricsPort: endpoint?.port,
    readiness: ready,
    stop: async (end, graceMs) => {
      isStopping = true;
      ready.set('stop', 'the service is stopping');
      await end();
      health.close();
      await closed(server, graceMs);
      access.close();
      tls.close();
      await endpoint?.close();
      await options.tracer?.close();
    },
  };
}

const RETRY_AFTER_MS = 2000;

/** What calls to a service that stops get. */
export function serviceStopping(): DiffusionError {
  return new DiffusionError(
    'SERVICE_STOPPING',
    'the service is stopping; call again, or call another replica',
    {
      retryAfterMs: RETRY_AFTER_MS,
    },
  );
}

// `tryShutdown` alone never ends while a stream is open.
async function closed(server: Server, graceMs: number): Promise<void> {
  const { promise, resolve } = deferred();
  const timer = setTimeout(() => {
    server.forceShutdown();
    resolve();
  }, graceMs);
  server.tryShutdown(() => {
    resolve();
  });
  await promise;
  clearTimeout(timer);
}

async function credentialsOf(
  { tls, access }: ServerSecurity,
  onUnusable: (error: DiffusionError) => void,
): Promise<WatchedCredentials> {
  if (tls !== undefined) return tlsCredentials(tls, access.reloadMs, onUnusable);
  return { credentials: ServerCredentials.createInsecure(), close: () => undefined };
}

async function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  const { promise, resolve, reject } = deferred<number>();
  server.bindAsync(address, credentials, (error, port) => {
    if (error === null) resolve(port);
    else {
      reject(
        new DiffusionError('ADDRESS_UNAVAILABLE', `cannot listen on ${address}: ${error.message}`, {
          cause: error,
        }),
      );
    }
  });
  return promise;
}

const HEALTH_NAME = 'grpc.health.v1.Health';

/**
 * Raw descriptors: the ones that proto-loader makes lose well-known types and maps.
 * @param services Those of this server: the descriptors have those of the others too.
 */
function reflectionService(services: string[]): ReflectionService {
  const fileDescriptorProtos = descriptors().file.map((file) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, file)),
  );
  return new ReflectionService(
    { all: { format: 'Protocol Buffer 3 DescriptorProto', type: {}, fileDescriptorProtos } },
    { services },
  );
}
