/** Environment variables as checked settings, and what of them a child process may see. */

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

import { DiffusionError, invalidArgument, violation, type FieldViolation } from './errors.js';
import { integer, matching, type Kind } from './kinds.js';
import { anyText, setting, type Setting, type Settled } from './setting.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface EnvironmentReader {
  /** A setting's value; its fallback where its variable is unset, empty or wrong. `check` reports the wrong ones. */
  readonly value: {
    <T>(setting: Settled<T>): T;
    <T>(setting: Setting<T>): T | undefined;
  };
  /** A value as `value` gives it; what is wrong is left to whoever reads it for its use. */
  readonly peek: (setting: Setting<unknown>) => unknown;
  /** Refuses a setting for its relation to others. */
  readonly refuse: (setting: Setting<unknown>, wanted: string, got?: unknown) => void;
  /** Does work whose refusals `check` reports. What it gave is there for a caller whom `check` let pass. */
  readonly collect: <T>(work: () => T) => () => T;
  /** @throws DiffusionError INVALID_ARGUMENT (reason SETTINGS_INVALID) naming the variable of each setting that is wrong. */
  readonly check: () => void;
}

/** A timer that is set to more ends at once: 24.8 days in milliseconds. */
const MOST = 2 ** 31 - 1;

/** From `least` to what a timer can be set to in milliseconds. */
export function count(least = 1, most = MOST): Kind<number> {
  return integer(least, most);
}

/** @param violations Takes what is wrong, where the caller reports it itself. */
export function environmentReader(env: Environment, violations: FieldViolation[] = []): EnvironmentReader {
  const textOf = ({ variable }: Setting<unknown>): string => env[variable]?.trim() ?? '';

  function value<T>(setting: Settled<T>): T;
  function value<T>(setting: Setting<T>): T | undefined;
  function value<T>(setting: Setting<T>): T | undefined {
    const text = textOf(setting);
    if (text === '') return setting.fallback;
    const found = setting.kind.read(text);
    if (found === undefined) violations.push(violation(setting.variable, setting.kind.wanted, text));
    return found ?? setting.fallback;
  }

  return {
    value,
    peek: (setting) => setting.kind.read(textOf(setting)) ?? setting.fallback,
    refuse: ({ variable }, wanted, got) => {
      violations.push(violation(variable, wanted, got));
    },
    collect: (work) => {
      try {
        const given = work();
        return () => given;
      } catch (error) {
        if (!(error instanceof DiffusionError) || error.violations.length === 0) throw error;
        violations.push(...error.violations);
        return () => {
          throw error;
        };
      }
    },
    check: () => {
      if (violations.length > 0) throw invalidArgument(violations, 'SETTINGS_INVALID');
    },
  };
}

/** The system's, those that tune what computes, and certificates, without which a store of one's own is no store. */
const ENGINE_VARIABLES = new RegExp(
  `^(${[
    ...['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH', 'LD_PRELOAD', 'GLIBC_TUNABLES'],
    ...['IP_DIFFUSION_NATIVE_KERNELS', 'IP_DIFFUSION_DEVICE(S|_MEMORY_PERCENT)?', 'IP_DIFFUSION_TF32'],
    // Plugins and compiled programs are in the cache.
    ...['IP_DIFFUSION_CACHE', 'IP_DIFFUSION_DOWNLOADS', 'XDG_CACHE_HOME'],
    '(TF|XLA|PJRT|OMP|KMP|ONEDNN|DNNL|MALLOC|CUDA|NVIDIA|ROCR|HIP)_\\w+',
    ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
  ].join('|')})$`,
);
const FOUR_GIB = String(4 * 1024 ** 3);

/** The environment of an engine process: what tunes it, and none of the store's keys. */
export function engineEnvironment(env: Environment): Environment {
  const passed = Object.entries(env).filter(([name]) => ENGINE_VARIABLES.test(name));
  return {
    // TensorFlow's messages about the processor are of no use.
    TF_CPP_MIN_LOG_LEVEL: '2',
    // Large blocks stay with the process: giving them back after each pass costs page faults.
    MALLOC_MMAP_THRESHOLD_: FOUR_GIB,
    MALLOC_TRIM_THRESHOLD_: FOUR_GIB,
    MALLOC_ARENA_MAX: '2',
    ...Object.fromEntries(passed),
  };
}

/** Settings of whatever starts engine processes. */
export const ENGINE_SETTINGS = {
  engineHeartbeatTimeoutMs: setting(
    'IP_DIFFUSION_ENGINE_HEARTBEAT_TIMEOUT_MS',
    count(2000),
    'an engine process that sends no heartbeat for this long is killed',
    // An engine sends no heartbeat while it traces, and tracing a step of a large network takes long.
    { fallback: 300_000, unit: 'ms' },
  ),
  nativeKernels: setting(
    'IP_DIFFUSION_NATIVE_KERNELS',
    matching(/^(on|off|native|x86-64-v\d[a-z0-9-]{0,16})$/, 'on, off, or a level such as x86-64-v3', 'LEVEL'),
    "which of the project's own kernels engines use: the best ones that the processor runs, none, or those of a level of processors",
    { fallback: 'on' },
  ),
  leaseMs: setting(
    'IP_DIFFUSION_LEASE_MS',
    count(500),
    'a service that does not renew its lease on a job or measurement for this long loses it to another one',
    { fallback: 30_000, unit: 'ms' },
  ),
  datasetCache: setting('IP_DIFFUSION_DATASET_CACHE', anyText('DIR'), 'where prepared images are kept', {
    otherwise: '`datasets` in the cache',
  }),
  cache: setting('IP_DIFFUSION_CACHE', anyText('DIR'), 'the folder of what can be made again', {
    otherwise: '`ip-diffusion` in `XDG_CACHE_HOME`, or in `~/.cache`',
  }),
  downloads: setting(
    'IP_DIFFUSION_DOWNLOADS',
    anyText('DIR'),
    "where the set-up puts plugins of devices and Temporal's packages, and programs look for them",
    { otherwise: 'the cache' },
  ),
} as const;

/** The folder that all checkouts and services of a user share: `IP_DIFFUSION_CACHE`, or ours in the user's cache. */
export function cacheFolder(env: Environment, platform: NodeJS.Platform = process.platform): string {
  const of = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const own = of('IP_DIFFUSION_CACHE');
  if (own !== undefined) return resolve(own);
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'ip-diffusion');
  return join(of('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'ip-diffusion');
}

/**
 * The folder of what the set-up downloads on request: plugins of devices, Temporal's packages. It need not be the cache: in
 * an image the cache is a volume, which hides what the image has at its place.
 */
export function downloadsFolder(env: Environment): string {
  const given = environmentReader(env).value(ENGINE_SETTINGS.downloads);
  return given === undefined ? cacheFolder(env) : resolve(given);
}

/** The folder of prepared images. */
export function datasetCacheFolder(env: Environment): string {
  const given = environmentReader(env).value(ENGINE_SETTINGS.datasetCache);
  return resolve(given ?? join(cacheFolder(env), 'datasets'));
}
