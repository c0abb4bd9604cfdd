/** The trainer's settings; the only place of this service that reads the environment. */

import { homedir, hostname, totalmem } from 'node:os';
import { join, resolve } from 'node:path';

import { invalidArgument, violation, type FieldViolation } from '../../shared/foundation/index.js';
import { storeSettings, type StoreSettings } from '../../shared/store/index.js';

export interface TrainerSettings {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly reflection: boolean;
  /** As pino names them. */
  readonly logLevel: string;
  readonly store: StoreSettings;
  /** Where prepared images are kept between jobs. */
  readonly datasetCacheFolder: string;
  /** This trainer's id: jobs belong to it, across restarts. */
  readonly owner: string;
  readonly concurrentJobs: number;
  /** Jobs that may wait for their turn. */
  readonly maxQueue: number;
  /** A recipe whose parameters alone need more than this is refused. */
  readonly memoryBytes: number;
  /** The engine process's whole environment. */
  readonly engineEnvironment: Environment;
  /** An engine process that says nothing for this long is killed. */
  readonly engineSilenceTimeoutMs: number;
  readonly restartLimit: number;
  readonly restartDelayMs: number;
  /** How long an engine may take to commit and end when asked to. */
  readonly stopGraceMs: number;
  /** A store that takes nothing for this long ends a job. */
  readonly storeRetryLimitMs: number;
  /** A reader that takes nothing for this long is cut off. */
  readonly stallTimeoutMs: number;
  /** How long a service that stops waits for connections to close. */
  readonly graceMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ADDRESS = '127.0.0.1:50061';
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];
const FOUR_GIB = String(4 * 1024 ** 3);

/** What an engine process may see of the environment: nothing of the store's keys, which it is told. */
const ENGINE_VARIABLES =
  /^(PATH|HOME|TMPDIR|LANG|LD_LIBRARY_PATH|CUDA_VISIBLE_DEVICES|(TF|OMP|MALLOC|NVIDIA)_\w+)$/;

/** @throws DiffusionError INVALID_ARGUMENT naming each variable that is wrong. */
export function readSettings(env: Environment = process.env): TrainerSettings {
  const violations: FieldViolation[] = [];
  const check = (met: boolean, name: string, wanted: string): void => {
    if (!met) violations.push(violation(name, wanted, env[name]));
  };
  const text = (name: string, otherwise: string): string => {
    const value = env[name]?.trim() ?? '';
    return value === '' ? otherwise : value;
  };
  const integer = (name: string, otherwise: number, least = 1): number => {
    const value = Number(text(name, String(otherwise)));
    check(Number.isSafeInteger(value) && value >= least, name, `an integer from ${least}`);
    return value;
  };
  const oneOf = (values: readonly string[], name: string, otherwise: string): string => {
    const value = text(name, otherwise);
    check(values.includes(value), name, `one of ${values.join(', ')}`);
    return value;
  };

  const cacheFolder = text('IP_DIFFUSION_CACHE', join(homedir(), '.cache', 'ip-diffusion'));
  const address = text('IP_DIFFUSION_TRAINER_ADDRESS', DEFAULT_ADDRESS);
  check(/^.+:\d{1,5}$/.test(address), 'IP_DIFFUSION_TRAINER_ADDRESS', 'host:port');
  const settings: TrainerSettings = {
    address,
    reflection: oneOf(['on', 'off'], 'IP_DIFFUSION_REFLECTION', 'on') === 'on',
    logLevel: oneOf(LOG_LEVELS, 'IP_DIFFUSION_LOG_LEVEL', 'info'),
    store: storeSettings(env, 'ip-diffusion-store'),
    datasetCacheFolder: resolve(text('IP_DIFFUSION_DATASET_CACHE', join(cacheFolder, 'datasets'))),
    owner: text('IP_DIFFUSION_TRAINER_ID', hostname()),
    concurrentJobs: integer('IP_DIFFUSION_TRAINER_JOBS', 1),
    maxQueue: integer('IP_DIFFUSION_TRAINER_MAX_QUEUE', 16, 0),
    memoryBytes: totalmem(),
    engineEnvironment: engineEnvironment(env),
    // The eager engine says nothing while it computes, and a pass of a large network takes long.
    engineSilenceTimeoutMs: integer('IP_DIFFUSION_ENGINE_SILENCE_MS', 300_000, 2000),
    restartLimit: integer('IP_DIFFUSION_ENGINE_RESTARTS', 3, 0),
    restartDelayMs: integer('IP_DIFFUSION_ENGINE_RESTART_DELAY_MS', 1000),
    stopGraceMs: integer('IP_DIFFUSION_STOP_GRACE_MS', 120_000),
    storeRetryLimitMs: integer('IP_DIFFUSION_STORE_RETRY_LIMIT_MS', 600_000),
    stallTimeoutMs: 60_000,
    graceMs: 5000,
  };
  if (violations.length > 0) throw invalidArgument(violations, 'SETTINGS_INVALID');
  return settings;
}

function engineEnvironment(env: Environment): Environment {
  const passed = Object.entries(env).filter(([name]) => ENGINE_VARIABLES.test(name));
  return {
    // TensorFlow's notes on the processor are not news.
    TF_CPP_MIN_LOG_LEVEL: '2',
    // Large blocks stay with the process: giving them back at each step costs page faults.
    MALLOC_MMAP_THRESHOLD_: FOUR_GIB,
    MALLOC_TRIM_THRESHOLD_: FOUR_GIB,
    MALLOC_ARENA_MAX: '2',
    ...Object.fromEntries(passed),
  };
}
