/** Puts the sampler service together and starts it. */

import { samplerWire } from '../../shared/contract/index.js';
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
import { DiffusionError, pause, systemClock } from '../../shared/foundation/index.js';
import { pictureDecoder } from '../../shared/images/index.js';
import { openTracer } from '../../shared/tracing/index.js';
import {
  checkStore,
  notedStore,
  storeFromSettings,
  storeMetrics,
  type ObjectStore,
} from '../../shared/store/index.js';
import { admission } from './admission.js';
import type { SamplerServiceSettings } from './config.js';
import type { EngineSource } from './engine-process/messages.js';
import { samplerHandlers } from './handlers.js';
import { loadModel, type LoadedModel } from './loaded-model.js';
import { loadedModels } from './loaded-models.js';
import { samplerMetrics } from './metrics.js';
import { startMeasuring } from './measuring/start-measuring.js';
import { modelCatalogue } from './model-catalogue.js';
import { passGates } from './pass-gate.js';
import { startPredictionEngine } from './prediction-engine.js';
import { runningCalls } from './running-calls.js';
import { tokenKey } from './token-key.js';

const STORE_RETRY_MS = 2000;
/** Pictures to start from and resume tokens come in one message: 32 of the largest tokens. */
const MAX_REQUEST_BYTES = 128 * 1024 * 1024;

/**
 * Listens, and is ready once the store can be listed and an engine can start.
 *
 * @throws DiffusionError for a store that can't be opened or an address that can't be listened on.
 */
export async function startSampler(
  settings: SamplerServiceSettings,
  log: ServiceLog,
): Promise<RunningService> {
  const clock = systemClock;
  const startedMs = clock.wallMs();
  const tracer = await openTracer(settings.tracing, 'sampler', (message) => {
    log.warn(message);
  });
  const registry = metricRegistry();
  const metrics = samplerMetrics(registry);
  const { note, add: onStoreCalls } = storeMetrics(registry);
  const store = notedStore(await storeFromSettings(settings.store), note);
  const calls = runningCalls();
  const stopping = new AbortController();
  const gates = passGates(clock);

  async function load(source: EngineSource, signal: AbortSignal): Promise<LoadedModel> {
    const { commit, object } = source;
    const fields = { job: commit.job, step: commit.step, weights: object.name };
    const report = (error: DiffusionError): void => {
      const { reason, message, cause } = error;
      log.error({ ...fields, reason, cause }, `engine: ${message}`);
    };
    const warn = (reason: string): void => {
      log.warn({ ...fields, reason }, 'the engine runs without its own kernels, which is slower');
    };
    const startedMs = clock.monotonicMs();
    const loaded = await loadModel({
      ...{ gates, clock, observer: metrics.engine },
      start: () =>
        startPredictionEngine(source, settings.store, settings.engine, {
          ...{ signal, clock, report, warn, onStoreCalls },
        }),
    });
    log.info({ ...fields, ms: Math.round(clock.monotonicMs() - startedMs) }, 'model loaded');
    return loaded;
  }

  const models = loadedModels({
    capacity: settings.maxLoadedModels,
    maxBytes: settings.maxModelBytes,
    load,
    clock,
    onFailed: ({ source: { commit, object }, error: { reason, message }, retryAfterMs }) => {
      const fields = { model: commit.model, step: commit.step, weights: object.name, reason, retryAfterMs };
      log.warn(
        fields,
        `a checkpoint could not be loaded and is not tried again before the delay: ${message}`,
      );
    },
  });
  const decoder = pictureDecoder({
    atOnce: settings.decodesAtOnce,
    environment: settings.engine.environment,
    heartbeatTimeoutMs: settings.engine.heartbeatTimeoutMs,
    clock,
  });
  const catalogue = modelCatalogue(store, (model, { step, error }) => {
    log.warn({ model, step, reason: error.message }, 'damaged checkpoint skipped');
  });
  const admitting = admission(settings.admission, clock, metrics.onWaited);
  metrics.watch(admitting, models);
  const answering = {
    onCall: observeAll(callObserver(registry), callLog(log), endCallSpan),
    deadlines: settings.deadlines,
    stallTimeoutMs: settings.stallTimeoutMs,
    slowReaderLimitMs: settings.slowReaderLimitMs,
    report: (error: unknown, id: string, call: object = {}) => {
      log.error({ err: error, id, ...call }, 'internal error');
    },
  };
  const measuring = startMeasuring(settings.measurements, {
    ...{ store, catalogue, models, clock, log, answering },
  });
  const server = await startGrpcServer({
    address: settings.address,
    security: settings.security,
    metrics: settings.metrics && { ...settings.metrics, registry },
    ...{ log, tracer },
    service: samplerWire.SamplerServiceService,
    serviceName: SERVICE_NAMES.sampler,
    implementation: samplerHandlers({
      catalogue,
      models,
      calls,
      clock,
      admission: admitting,
      observer: metrics.sampling,
      decoder,
      tokenKey: await tokenKey(store, settings.tokenKeyFile, (message) => {
        log.warn(message);
      }),
      maxImages: settings.maxImages,
      window: settings.window,
      swapWaitMs: settings.swapWaitMs,
      info: () =>
        serverInfo({
          ...{ protocol: 'diffusion.sampler.v1', startedMs, settings, engine: engines.engine() },
          readiness: server.readiness,
        }),
      ...answering,
    }),
    others: [measuring.served],
    ...answering,
    reflection: settings.reflection,
    maxRequestBytes: MAX_REQUEST_BYTES,
    receiving: settings.receiving,
  });
  const watched = {
    ...{ settings, store, clock, readiness: server.readiness, log, signal: stopping.signal },
    engineEnvironment: settings.engine.environment,
  };
  const engines = watchEngine(watched);
  const starting = whenListed(store, stopping.signal, log).then((listed) => {
    if (!listed) return;
    server.readiness.set('start', undefined);
    watchReadyStore(watched);
  });

  async function stop(): Promise<void> {
    stopping.abort();
    const end = async (): Promise<void> => {
      await starting;
      await Promise.all([measuring.stop(), calls.stop(settings.drainMs, settings.graceMs)]);
    };
    await server.stop(end, settings.graceMs);
    await models.close();
    await decoder.close();
    await store.close();
  }

  return { port: server.port, metricsPort: server.metricsPort, stop };
}

/** Asks until the store answers; false where the service stops before. */
async function whenListed(store: ObjectStore, signal: AbortSignal, log: ServiceLog): Promise<boolean> {
  let isLogged = false;
  while (!signal.aborted) {
    try {
      await checkStore(store, 'read', { signal });
      return true;
    } catch (error) {
      if (error instanceof DiffusionError && error.code === 'CANCELLED') break;
      if (!isLogged) log.warn({ err: error }, 'the store can not be listed; trying again until it can');
      isLogged = true;
      await pause(STORE_RETRY_MS, signal);
    }
  }
  return false;
}
