/** A worker of pipelines: takes work from a queue of Temporal's until it is stopped. */

import { fileURLToPath } from 'node:url';

import { DiffusionError, onAbort } from '../../../shared/foundation/index.js';
import { siblingModule } from '../../../shared/processes/index.js';
import { createActivities, type ActivitySettings } from './activities.js';
import { unreachable, type TemporalAddress, type TemporalPackages } from './temporal-packages.js';

export interface WorkerSettings extends Omit<ActivitySettings, 'currentSignal'> {
  readonly server: TemporalAddress;
  readonly namespace: string;
  readonly queue: string;
  /** Pieces of work at once. */
  readonly atOnce: number;
  readonly signal: AbortSignal;
  readonly onReady: () => void;
  /** What Temporal has to say, in one line. */
  readonly onWarning: (line: string) => void;
}

let isInstalled = false;

/** How soon a cancelled activity notices at the latest, and how often one says that it lives. */
const HEARTBEAT_MS = 2000;
/** Activities that haven't ended then are made again by another worker. */
const GRACE_MS = 5000;

/** Codes of errors that the same work would meet again. */
const FINAL: ReadonlySet<string> = new Set([
  ...['INVALID_ARGUMENT', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'UNAUTHENTICATED'],
  ...['FAILED_PRECONDITION', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'DATA_LOSS'],
]);

/** @throws DiffusionError UNAVAILABLE (reason TEMPORAL_UNREACHABLE) where the server doesn't answer. */
export async function runPipelineWorker(
  packages: TemporalPackages,
  { server, namespace, queue, atOnce, signal, onReady, onWarning, ...settings }: WorkerSettings,
): Promise<void> {
  const { Runtime, DefaultLogger, NativeConnection, Worker } = packages.worker();
  const { Context } = packages.activity;
  // One for the process. Signals are the program's.
  const logger = new DefaultLogger('WARN', ({ message, meta }) => {
    onWarning(warningOf(message, meta));
  });
  // What the native side has to say goes the same way: by itself it prints on stdout, among the lines of --json.
  const telemetryOptions = { logging: { forward: {} } };
  if (!isInstalled) Runtime.install({ logger, shutdownSignals: [], telemetryOptions });
  isInstalled = true;
  const connection = await NativeConnection.connect(server).catch((cause: unknown) => {
    throw unreachable(server, cause);
  });
  try {
    const activities = createActivities({
      ...settings,
      currentSignal: () => Context.current().cancellationSignal,
    });
    const worker = await Worker.create({
      ...{ connection, namespace, taskQueue: queue },
      workflowsPath: fileURLToPath(siblingModule(import.meta.url, './workflows')),
      bundlerOptions: {
        // Temporal's packages lie among the downloads, not above this file.
        webpackConfigHook: (config) => ({
          ...config,
          resolve: { ...config.resolve, modules: [packages.modules, ...(config.resolve?.modules ?? [])] },
        }),
      },
      activities: withHeartbeats(activities, packages),
      maxConcurrentActivityTaskExecutions: atOnce,
      ...{ maxHeartbeatThrottleInterval: HEARTBEAT_MS, defaultHeartbeatThrottleInterval: HEARTBEAT_MS },
      shutdownGraceTime: GRACE_MS,
    });
    const stopListening = onAbort(signal, () => {
      // Throws where the worker isn't running yet, which ends it as well.
      setImmediate(() => {
        worker.shutdown();
      });
    });
    const running = worker.run();
    onReady();
    await running.finally(stopListening);
  } finally {
    await connection.close();
  }
}

/** `Activity failed: makePlan of generateImages-1: another batch is in ...`. */
function warningOf(message: string, meta: object = {}): string {
  const { activityType, workflowId, error } = meta as {
    readonly activityType?: string;
    readonly workflowId?: string;
    readonly error?: unknown;
  };
  const where = [activityType, workflowId].filter((part) => part !== undefined).join(' of ');
  const why = error instanceof Error ? error.message : undefined;
  return [message, where, why].filter((part) => part !== undefined && part !== '').join(': ');
}

type Work = (input: never) => Promise<unknown>;

/** The same work, that says while it runs that it does, and fails in Temporal's words. */
function withHeartbeats(activities: object, { activity }: TemporalPackages): object {
  const wrapped = Object.entries(activities as Readonly<Record<string, Work>>).map(([name, work]) => [
    name,
    async (input: never) => {
      const context = activity.Context.current();
      const timer = setInterval(() => {
        context.heartbeat();
      }, HEARTBEAT_MS);
      try {
        return await work(input);
      } catch (error) {
        // A cancelled activity must end with Temporal's own error.
        context.cancellationSignal.throwIfAborted();
        throw failureOf(error, activity);
      } finally {
        clearInterval(timer);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as object;
}

function failureOf(error: unknown, { ApplicationFailure }: TemporalPackages['activity']): unknown {
  if (!(error instanceof DiffusionError)) return error;
  const { reason: type, message, code } = error;
  // A busy or absent service has no final code; nor has a store whose credentials a person can repair.
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: FINAL.has(code) && error.retryAfterMs === undefined,
  });
}
