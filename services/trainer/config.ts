/** The trainer's settings; the only place of this service that reads the environment. */

import { hostname } from 'node:os';
import { join, resolve } from 'node:path';

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
import { isLoopback, serverSettings, type ServerSettings } from '../../shared/rpc/index.js';
import { fileAccess, storeSettings, type FileAccess, type StoreSettings } from '../../shared/store/index.js';
import { TRAINER_OWN, TRAINER_SETTINGS } from './settings.js';

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

export const ENVIRONMENT: Environment = process.env;

/** @throws DiffusionError INVALID_ARGUMENT (reason SETTINGS_INVALID) naming the variable of each setting that is wrong. */
export function readSettings(env: Environment): TrainerSettings {
  const reader = environmentReader(env);
  const { value, collect } = reader;
  const server = serverSettings(TRAINER_SETTINGS, reader);
  const store = collect(() => storeSettings(env));
  // Refused here, before an engine process would refuse them.
  collect(() => deviceSettings(env));
  // Whoever reaches a trainer from a network must not read any file that the trainer can read.
  const files = collect(() => fileAccess(env, isLoopback(server.address) ? 'any' : 'none'));
  const settings = {
    ...server,
    datasetCacheFolder: datasetCacheFolder(env),
    name: value(TRAINER_OWN.name) ?? hostname(),
    leaseMs: value(ENGINE_SETTINGS.leaseMs),
    concurrentJobs: value(TRAINER_OWN.jobs),
    maxQueue: value(TRAINER_OWN.maxQueue),
    memoryBytes: machineMemoryBytes(),
    engineEnvironment: engineEnvironment(env),
    engineHeartbeatTimeoutMs: value(ENGINE_SETTINGS.engineHeartbeatTimeoutMs),
    restartLimit: value(TRAINER_OWN.engineRestarts),
    restartDelayMs: value(TRAINER_OWN.engineRestartDelayMs),
    stopGraceMs: value(TRAINER_OWN.stopGraceMs),
    storeRetryLimitMs: value(TRAINER_OWN.storeRetryLimitMs),
    spillFolder: resolve(value(TRAINER_OWN.spill) ?? join(cacheFolder(env), 'spill')),
    spillMaxBytes: value(TRAINER_OWN.spillMaxMb) * 1e6,
    graceMs: 5000,
  };
  reader.check();
  return { ...settings, store: store(), fileAccess: files() };
}
