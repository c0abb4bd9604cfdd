/** Puts the trainer service together and starts it. */

import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';

import { metricRegistry } from '../../shared/metrics/index.js';
import {
  callLog,
  callObserver,
  endCallSpan,
  observeAll,
  SERVICE_NAMES,
  serverInfo,
  startGrpcServer,
  watchEngine,
  watchReadyStore,
  type RunningService,
  type ServiceLog,
} from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import {
  deferred,
  DiffusionError,
  pause,
  systemClock,
  unlessAborted,
} from '../../shared/foundation/index.js';
import { thisProcess } from '../../shared/processes/index.js';
import {
  checkStore,
  notedStore,
  storeFromSettings,
  storeMetrics,
  retryOutages,
  storeAddress,
  type ObjectStore,
  type OutageSettings,
} from '../../shared/store/index.js';
import { openTracer } from '../../shared/tracing/index.js';
import type { TrainerSettings } from './config.js';
import { dataSources } from './data-sources.js';
import { deletions } from './deletion.js';
import { engineStarter } from './engine.js';
import type { SpillFolder } from './engine-process/messages.js';
import { spillIn } from './engine-process/spill-folder.js';
import { trainerHandlers } from './handlers.js';
import { LeaseWatch } from './job-lease.js';
import { jobRecovery } from './job-recovery.js';
import { jobRequests } from './job-requests.js';
import { JobSupervisor, unavailable } from './job-supervisor.js';
import { keptStates } from './kept-state.js';
import { uploadLeftovers } from './leftover-commits.js';
import { listedCompleteness } from './listed-jobs.js';
import { trainerMetrics } from './metrics.js';
import { removeOldRequests } from './old-requests.js';
import { reader } from './reading.js';
import { settled } from './warm-start.js';
import { tenants } from './tenants.js';

/** Where the store hasn't answered after this, the start continues and waits for it in the background. */
const FIRST_CHECK_MS = 10_000;
const STORE_DIGITS = 16;
const TIDY_EVERY_MS = 6 * 60 * 60 * 1000;

/**
 * Listens, and is ready once the store can be written and an engine can start; recovers the jobs that no trainer runs.
 *
 * @throws DiffusionError for a store that can't be used or an address that can't be listened on. A store that is
 * unavailable is waited for.
 */
export async function startTrainer(settings: TrainerSettings, logger: ServiceLog): Promise<RunningService> {
  const clock = systemClock;
  const startedMs = clock.wallMs();
  const { datasetCacheFolder, memoryBytes, stallTimeoutMs, leaseMs, name } = settings;
  const tracer = await openTracer(settings.tracing, 'trainer', (message) => {
    logger.warn(message);
  });
  const registry = metricRegistry();
  const { note, add: onStoreCalls } = storeMetrics(registry);
  const metrics = trainerMetrics(registry, clock, onStoreCalls);
  const store = notedStore(await storeFromSettings(settings.store), note);
  const reading = reader({
    onStoreCalls,
    environment: settings.engineEnvironment,
    heartbeatTimeoutMs: settings.engineHeartbeatTimeoutMs,
    clock,
  });
  const sources = dataSources({
    access: settings.fileAccess,
    cacheFolder: datasetCacheFolder,
    reader: reading,
  });
  const spill = spillOf(settings);
  const folder = spill && spillIn(spill);
  const kept = folder && keptStates(folder);
  const trainer = { holder: randomUUID(), name, process: thisProcess() };
  const supervisor = new JobSupervisor({
    ...settings,
    store,
    observer: metrics,
    storeSettings: settings.store,
    tracer,
    ...(spill && { spill, kept }),
    cacheFolder: datasetCacheFolder,
    clock,
    logger,
    trainer,
    startEngine: engineStarter({
      environment: settings.engineEnvironment,
      heartbeatTimeoutMs: settings.engineHeartbeatTimeoutMs,
      clock,
    }),
  });
  metrics.watch(supervisor);
  const leases = new LeaseWatch(clock, trainer);
  const listed = listedCompleteness(store);
  const recovery = jobRecovery({ store, supervisor, leases, kept, sources, leaseMs, logger });
  const stopping = new AbortController();
  let phase: 'starting' | 'serving' | 'stopping' = 'starting';
  let storeProblem = '';
  const calls = {
    stallTimeoutMs,
    onCall: observeAll(callObserver(registry), callLog(logger), endCallSpan),
    deadlines: settings.deadlines,
    report: (error: unknown, id: string, call: object = {}) => {
      logger.error({ err: error, id, ...call }, 'internal error');
    },
  };
  const server = await startGrpcServer({
    address: settings.address,
    security: settings.security,
    metrics: settings.metrics && { ...settings.metrics, registry },
    log: logger,
    tracer,
    service: trainerWire.TrainerServiceService,
    serviceName: SERVICE_NAMES.trainer,
    implementation: trainerHandlers({
      requests: jobRequests({
        ...{ store, supervisor, leases, sources, clock, memoryBytes },
        listed,
        settle: (recipe, sees) =>
          settled({ reader: reading, store, storeSettings: settings.store }, recipe, sees),
      }),
      deletions: deletions({ store, supervisor }),
      sources,
      tenants: tenants(store, supervisor),
      info: () =>
        serverInfo({
          ...{ protocol: 'diffusion.trainer.v1', startedMs, settings, engine: engines.engine() },
          readiness: server.readiness,
        }),
      checkServing: () => {
        if (phase !== 'serving') throw unavailable(phase, storeProblem);
      },
      ...calls,
    }),
    ...calls,
    reflection: settings.reflection,
  });

  const watched = {
    ...{ settings, store, clock, readiness: server.readiness, log: logger, signal: stopping.signal },
    engineEnvironment: settings.engineEnvironment,
  };
  const engines = watchEngine(watched);

  const outageSettings: OutageSettings = {
    limitMs: settings.storeRetryLimitMs,
    clock,
    isOutage: isAway,
    onOutage: (error) => {
      storeProblem = error?.message ?? '';
      logger.warn({ err: error }, error === undefined ? 'the store answers' : 'waiting for the store');
    },
  };

  async function serve(): Promise<void> {
    // A service that stops doesn't wait for a store that says nothing.
    await unlessAborted(recovery.scan(), stopping.signal).catch((error: unknown) => {
      if (!stopping.signal.aborted)
        logger.warn({ err: error }, 'the search for jobs without a trainer failed');
    });
    if (stopping.signal.aborted) return;
    phase = 'serving';
    server.readiness.set('start', undefined);
    watchReadyStore(watched);
    void recovery.run(stopping.signal);
    if (spill !== undefined && folder !== undefined) {
      const leftovers = {
        store,
        storeSettings: settings.store,
        spill,
        folder,
        supervisor,
        reader: reading,
        logger,
      };
      void repeated(() => uploadLeftovers(leftovers), leaseMs, logger, stopping.signal);
    }
    listed.complete().catch((error: unknown) => {
      logger.warn({ err: error }, 'jobs of earlier builds were not listed');
    });
    void repeated(() => tidy(store, logger, stopping.signal), TIDY_EVERY_MS, logger, stopping.signal);
  }

  const failure = deferred<never>();
  failure.promise.catch(() => undefined);
  let starting = Promise.resolve();
  try {
    // Not earlier: a trainer that can't listen must not take jobs.
    if (await isThere(store)) await serve();
    else {
      starting = retryOutages(outageSettings, stopping.signal, () =>
        checkStore(store, 'write', { signal: stopping.signal }),
      )
        .then(serve)
        .catch((error: unknown) => {
          if (!stopping.signal.aborted) failure.reject(error);
        });
    }
  } catch (error) {
    await server.stop(() => supervisor.stop(), 0);
    throw error;
  }
  return {
    port: server.port,
    metricsPort: server.metricsPort,
    failure: failure.promise,
    stop: async () => {
      phase = 'stopping';
      stopping.abort();
      const end = async (): Promise<void> => {
        await starting;
        await supervisor.stop();
      };
      await server.stop(end, settings.graceMs);
      await store.close();
    },
  };
}

/** The folder where this store's checkpoints and events wait; undefined where none may. */
function spillOf({
  store,
  spillFolder,
  spillMaxBytes,
  concurrentJobs,
}: TrainerSettings): SpillFolder | undefined {
  if (spillMaxBytes === 0) return undefined;
  // Jobs of two stores may have the same id.
  const name = createHash('sha256').update(storeAddress(store)).digest('hex').slice(0, STORE_DIGITS);
  return { folder: join(spillFolder, name), maxBytes: Math.floor(spillMaxBytes / concurrentJobs) };
}

/** Removes what interrupted writers have left in the store, and what nobody asks for any more. */
async function tidy(store: ObjectStore, logger: ServiceLog, signal: AbortSignal): Promise<void> {
  const removed = await store.tidy({ signal });
  if (removed > 0) logger.info({ removed }, 'unfinished uploads of writers that died were removed');
  const requests = await removeOldRequests(store, systemClock.wallMs(), signal);
  if (requests > 0) logger.info({ requests }, 'request ids of more than 30 days ago were removed');
}

/** Does something now and then until the signal aborts; what it throws is logged. */
async function repeated(
  work: () => Promise<void>,
  everyMs: number,
  logger: ServiceLog,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await work().catch((error: unknown) => {
      if (!signal.aborted) logger.warn({ err: error }, 'work on the store failed; it is done again later');
    });
    await pause(everyMs, signal, { ref: false });
  }
}

/** False where the store is unavailable. @throws DiffusionError where it can't be used, and waiting would not help. */
async function isThere(store: ObjectStore): Promise<boolean> {
  try {
    await checkStore(store, 'write', { signal: AbortSignal.timeout(FIRST_CHECK_MS) });
    return true;
  } catch (error) {
    if (error instanceof DiffusionError && (isAway(error) || error.code === 'DEADLINE_EXCEEDED'))
      return false;
    throw error;
  }
}

/** Away, or full. A certificate that isn't trusted is a wrong setting and no outage. */
function isAway({ code, reason }: DiffusionError): boolean {
  return (code === 'UNAVAILABLE' && reason !== 'STORE_TLS') || reason === 'STORE_FULL';
}
