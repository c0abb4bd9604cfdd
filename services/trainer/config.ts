/** The trainer's settings; the only place of this service that reads the environment. */

import { hostname } from 'node:os';
import { join, resolve } from 'node:path';

import {
  cacheFolder,
  deviceSettings,
  engineEnvironment,
  engineHeartbeatTimeoutMs,
  environmentReader,
  machineMemoryBytes,
  type Environment,
} from '../../shared/foundation/index.js';
import { isLoopback, serverSettings, type ServerSettings } from '../../shared/rpc/index.js';
import { fileAccess, storeSettings, type FileAccess, type StoreSettings } from '../../shared/store/index.js';

export interface TrainerSettings extends ServerSettings {
  readonly store: StoreSettings;
  /** How the files of data sets are reached. */
  readonly fileAccess: FileAccess;
  /** Where prepared images are kept between jobs. */
  readonly datasetCacheFolder: string;
  /** The name of this trainer in the status of its jobs, for people. */
  readonly name: string;
  /** A trainer that doesn't renew its lease on a job for this long loses it to another one. */
  readonly leaseMs: number;
  readonly concurrentJobs: number;
  /** Jobs that may wait for their turn. */
  readonly maxQueue: number;
  /** A recipe whose parameters alone need more than this is refused. */
  readonly memoryBytes: number;
  /** The engine process's whole environment. */
  readonly engineEnvironment: Environment;
  /** An engine process that sends no heartbeat for this long is killed. */
  readonly engineHeartbeatTimeoutMs: number;
  readonly restartLimit: number;
  readonly restartDelayMs: number;
  /** How long an engine may take to commit and end when asked to. */
  readonly stopGraceMs: number;
  /** An outage of the store that lasts longer fails a job, and ends a trainer that is starting. */
  readonly storeRetryLimitMs: number;
  /** Where checkpoints and events wait that the store does not take, and how much of them. */
  readonly spillFolder: string;
  readonly spillMaxBytes: number;
  /** How long a service that stops waits for connections to close. */
  readonly graceMs: number;
}

/** @throws DiffusionError INVALID_ARGUMENT naming each variable that is wrong. */
export function readSettings(env: Environment = process.env): TrainerSettings {
  const reader = environmentReader(env);
  const { text, integer, check } = reader;
  const server = serverSettings('trainer', reader);
  // Refused here, before an engine process would refuse them.
  deviceSettings(env);
  const settings: TrainerSettings = {
    ...server,
    store: storeSettings(env),
    // Whoever reaches a trainer from a network must not read any file that the trainer can read.
    fileAccess: fileAccess(env, isLoopback(server.address) ? 'any' : 'none'),
    datasetCacheFolder: resolve(text('IP_DIFFUSION_DATASET_CACHE', join(cacheFolder(env), 'datasets'))),
    name: text('IP_DIFFUSION_TRAINER_NAME', hostname()),
    leaseMs: integer('IP_DIFFUSION_LEASE_MS', 30_000, 500),
    concurrentJobs: integer('IP_DIFFUSION_TRAINER_JOBS', 1),
    maxQueue: integer('IP_DIFFUSION_TRAINER_MAX_QUEUE', 16, 0),
    memoryBytes: machineMemoryBytes(),
    engineEnvironment: engineEnvironment(env),
    engineHeartbeatTimeoutMs: engineHeartbeatTimeoutMs(reader),
    restartLimit: integer('IP_DIFFUSION_ENGINE_RESTARTS', 3, 0),
    restartDelayMs: integer('IP_DIFFUSION_ENGINE_RESTART_DELAY_MS', 1000),
    stopGraceMs: integer('IP_DIFFUSION_STOP_GRACE_MS', 120_000),
    storeRetryLimitMs: integer('IP_DIFFUSION_STORE_RETRY_LIMIT_MS', 6 * 3_600_000),
    spillFolder: resolve(text('IP_DIFFUSION_SPILL', join(cacheFolder(env), 'spill'))),
    spillMaxBytes: integer('IP_DIFFUSION_SPILL_MAX_MB', 20_000, 0) * 1e6,
    graceMs: 5000,
  };
  check();
  return settings;
}
