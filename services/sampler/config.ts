/** The sampler's settings; the only place of this service that reads the environment. */

import {
  cacheFolder,
  datasetCacheFolder,
  deviceSettings,
  ENGINE_SETTINGS,
  engineEnvironment,
  environmentReader,
  machineMemoryBytes,
  type Environment,
} from '../../shared/foundation/index.js';
import { siblingModule } from '../../shared/processes/index.js';
import {
  isLoopback,
  serverSettings,
  type ReceivingLimits,
  type ServerSettings,
} from '../../shared/rpc/index.js';
import { fileAccess, storeSettings, type FileAccess, type StoreSettings } from '../../shared/store/index.js';
import type { AdmissionLimits } from './admission-limits.js';
import type { MeasuringSettings } from './measuring/measure-in-process.js';
import type { MeasurementLimits } from './measuring/specification.js';
import type { EngineSettings } from './prediction-engine.js';
import { SAMPLER_OWN, SAMPLER_SETTINGS } from './settings.js';

/** Of measurements. */
export interface MeasurementSettings {
  /** Measurements at a time. */
  readonly atOnce: number;
  /** Measurements that run or wait. */
  readonly maxWaiting: number;
  readonly limits: MeasurementLimits;
  /** A sampler that doesn't renew its lease on a measurement for this long loses it. */
  readonly leaseMs: number;
  readonly process: MeasuringSettings;
  /** How the files of data sets are reached. */
  readonly access: FileAccess;
  /** Where prepared images are kept. */
  readonly datasetCache: string;
  /** Where extractors, features and sampled images are kept. */
  readonly cacheFolder: string;
}

export interface SamplerServiceSettings extends ServerSettings {
  readonly measurements: MeasurementSettings;
  readonly store: StoreSettings;
  readonly engine: EngineSettings;
  /** The key that resume tokens are signed with; undefined for one that is kept in the store. */
  readonly tokenKeyFile: string | undefined;
  /** Images of one call, at most. */
  readonly maxImages: number;
  readonly admission: AdmissionLimits;
  readonly receiving: ReceivingLimits;
  /** Pictures of requests that are decoded at once. */
  readonly decodesAtOnce: number;
  /** Models that stay loaded; one more engine runs while a model is being replaced. */
  readonly maxLoadedModels: number;
  /** How long a call for the newest checkpoint waits for its weights while an older one could serve it. */
  readonly swapWaitMs: number;
  /** Memory that loaded models may take; twice as much while one is being replaced. */
  readonly maxModelBytes: number;
  /** How long a call may wait for its reader, all waits together. */
  readonly slowReaderLimitMs: number;
  /** Images of one call in work or unread at once. */
  readonly window: number;
  /** How long calls may go on when the service stops; then they get what resumes them. */
  readonly drainMs: number;
  /** How long a service that stops waits for readers, and for connections to close. */
  readonly graceMs: number;
}

// Two passes take turns: what one leaves the engine waiting for, solvers and messages, is done while the other runs. Passes of
// 32 were 8 % slower in all.
const MAX_ROWS = 16;
const MIB = 1024 ** 2;
const BATCH_SIZES = [1, 2, 4, 8, MAX_ROWS];

export const ENVIRONMENT: Environment = process.env;

/** @throws DiffusionError INVALID_ARGUMENT (reason SETTINGS_INVALID) naming the variable of each setting that is wrong. */
export function readSettings(env: Environment): SamplerServiceSettings {
  const reader = environmentReader(env);
  const { value, collect } = reader;
  const server = serverSettings(SAMPLER_SETTINGS, reader);
  const store = collect(() => storeSettings(env));
  // Whoever reaches a sampler from a network must not read any file that the sampler can read.
  const access = collect(() => fileAccess(env, isLoopback(server.address) ? 'any' : 'none'));
  // Refused here, before an engine process would refuse them.
  collect(() => deviceSettings(env));
  const settings = {
    ...server,
    engine: {
      module: siblingModule(import.meta.url, './engine-process/main'),
      environment: engineEnvironment(env),
      batchSizes: BATCH_SIZES,
      heartbeatTimeoutMs: value(ENGINE_SETTINGS.engineHeartbeatTimeoutMs),
    },
    measurements: {
      atOnce: value(SAMPLER_OWN.measurements),
      maxWaiting: value(SAMPLER_OWN.maxMeasurements),
      limits: {
        images: value(SAMPLER_OWN.measurementMaxImages),
        evaluations: 1e6 * value(SAMPLER_OWN.measurementMaxEvaluations),
        bytes: MIB * value(SAMPLER_OWN.measurementMaxMib),
      },
      leaseMs: value(ENGINE_SETTINGS.leaseMs),
      process: {
        module: siblingModule(import.meta.url, './measuring/measure-process'),
        environment: engineEnvironment(env),
        heartbeatTimeoutMs: value(ENGINE_SETTINGS.engineHeartbeatTimeoutMs),
      },
      datasetCache: datasetCacheFolder(env),
      cacheFolder: cacheFolder(env),
    },
    tokenKeyFile: value(SAMPLER_OWN.resumeKey),
    maxImages: value(SAMPLER_OWN.maxImages),
    admission: {
      calls: value(SAMPLER_OWN.maxCalls),
      cost: 1e6 * value(SAMPLER_OWN.maxCost),
      bytes: MIB * value(SAMPLER_OWN.maxWorkingMib),
      waiting: value(SAMPLER_OWN.maxWaiting),
      requestBytes: MIB * value(SAMPLER_OWN.maxRequestsMib),
      callerShare: value(SAMPLER_OWN.callerPercent) / 100,
    },
    receiving: {
      maxBytes: MIB * value(SAMPLER_OWN.maxReceivingMib),
      timeoutMs: 1000 * value(SAMPLER_OWN.receivingSeconds),
    },
    decodesAtOnce: value(SAMPLER_OWN.maxDecodes),
    maxLoadedModels: value(SAMPLER_OWN.maxModels),
    swapWaitMs: value(SAMPLER_OWN.swapWaitMs),
    slowReaderLimitMs: 60_000 * value(SAMPLER_OWN.slowReaderMinutes),
    maxModelBytes: MIB * (value(SAMPLER_OWN.modelsMib) ?? Math.floor(machineMemoryBytes() / 2 / MIB)),
    // Two passes' worth: while one half is in the engine, the other half's solvers compute.
    window: 2 * MAX_ROWS,
    drainMs: 1000 * value(SAMPLER_OWN.drainSeconds),
    graceMs: 10_000,
  };
  reader.check();
  return {
    ...settings,
    measurements: { ...settings.measurements, access: access() },
    store: store(),
  };
}
