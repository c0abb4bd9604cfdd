/** The sampler's settings; the only place of this service that reads the environment. */

import { join, resolve } from 'node:path';

import {
  cacheFolder,
  engineEnvironment,
  engineHeartbeatTimeoutMs,
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
import type { AdmissionLimits } from './admission.js';
import type { MeasuringSettings } from './measuring/measure-in-process.js';
import type { MeasurementLimits } from './measuring/specification.js';
import type { EngineSettings } from './prediction-engine.js';

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
  /** Images of one call in work or unread at once. */
  readonly window: number;
  /** How long a service that stops waits for connections to close. */
  readonly graceMs: number;
}

// Two passes take turns: what one leaves the engine waiting for, solvers and messages, is done while the other runs. Passes of
// 32 were 8 % slower in all.
const MAX_ROWS = 16;
const MIB = 1024 ** 2;
const BATCH_SIZES = [1, 2, 4, 8, MAX_ROWS];

/** @throws DiffusionError INVALID_ARGUMENT naming each variable that is wrong. */
export function readSettings(env: Environment = process.env): SamplerServiceSettings {
  const reader = environmentReader(env);
  const { integer, percent, optional, text, check } = reader;
  const server = serverSettings('sampler', reader);
  const cache = cacheFolder(env);
  const settings = {
    ...server,
    store: storeSettings(env),
    engine: {
      module: siblingModule(import.meta.url, './engine-process/main'),
      environment: engineEnvironment(env),
      batchSizes: BATCH_SIZES,
      heartbeatTimeoutMs: engineHeartbeatTimeoutMs(reader),
    },
    measurements: {
      atOnce: integer('IP_DIFFUSION_MEASUREMENTS', 1),
      maxWaiting: integer('IP_DIFFUSION_MAX_MEASUREMENTS', 64),
      limits: {
        images: integer('IP_DIFFUSION_MEASUREMENT_MAX_IMAGES', 50_000),
        evaluations: 1e6 * integer('IP_DIFFUSION_MEASUREMENT_MAX_EVALUATIONS', 100),
        bytes: MIB * integer('IP_DIFFUSION_MEASUREMENT_MAX_MIB', 4096),
      },
      leaseMs: integer('IP_DIFFUSION_LEASE_MS', 30_000, 500),
      process: {
        module: siblingModule(import.meta.url, './measuring/measure-process'),
        environment: engineEnvironment(env),
        heartbeatTimeoutMs: engineHeartbeatTimeoutMs(reader),
      },
      // Whoever reaches a sampler from a network must not read any file that the sampler can read.
      access: fileAccess(env, isLoopback(server.address) ? 'any' : 'none'),
      datasetCache: resolve(text('IP_DIFFUSION_DATASET_CACHE', join(cache, 'datasets'))),
      cacheFolder: cache,
    },
    tokenKeyFile: optional('IP_DIFFUSION_RESUME_KEY_FILE'),
    maxImages: integer('IP_DIFFUSION_SAMPLER_MAX_IMAGES', 4096),
    admission: {
      calls: integer('IP_DIFFUSION_SAMPLER_MAX_CALLS', 64),
      cost: 1e6 * integer('IP_DIFFUSION_SAMPLER_MAX_COST', 40_000),
      bytes: MIB * integer('IP_DIFFUSION_SAMPLER_MAX_WORKING_MIB', 1024),
      waiting: integer('IP_DIFFUSION_SAMPLER_MAX_WAITING', 256),
      requestBytes: MIB * integer('IP_DIFFUSION_SAMPLER_MAX_REQUESTS_MIB', 512),
      callerShare: percent('IP_DIFFUSION_SAMPLER_CALLER_PERCENT', 50) / 100,
    },
    receiving: {
      maxBytes: MIB * integer('IP_DIFFUSION_SAMPLER_MAX_RECEIVING_MIB', 256),
      timeoutMs: 1000 * integer('IP_DIFFUSION_SAMPLER_RECEIVING_SECONDS', 60),
    },
    decodesAtOnce: integer('IP_DIFFUSION_SAMPLER_MAX_DECODES', 2),
    maxLoadedModels: integer('IP_DIFFUSION_SAMPLER_MAX_MODELS', 2),
    swapWaitMs: integer('IP_DIFFUSION_SAMPLER_SWAP_WAIT_MS', 30_000, 0),
    maxModelBytes:
      MIB * integer('IP_DIFFUSION_SAMPLER_MODELS_MIB', Math.floor(machineMemoryBytes() / 2 / MIB)),
    // Two passes' worth: while one half is in the engine, the other half's solvers compute.
    window: 2 * MAX_ROWS,
    graceMs: 10_000,
  };
  check();
  return settings;
}
