/** Environment variables as checked settings, and what of them a child process may see. */

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

import { invalidArgument, violation, type FieldViolation } from './errors.js';
import { integer, oneOf, type Parser } from './kinds.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Each method gives a variable's value, or `otherwise` where it is unset, empty or wrong; `check` reports the wrong ones. */
export interface EnvironmentReader {
  readonly text: (name: string, otherwise: string) => string;
  /** Undefined where it is unset or empty. */
  readonly optional: (name: string) => string | undefined;
  /** The texts between the separators, without empty ones; undefined where it is unset or empty. */
  readonly list: (name: string, separator: string) => string[] | undefined;
  /** From `least` (1 where it is unset) to what a timer can be set to in milliseconds, 24.8 days. */
  readonly integer: (name: string, otherwise: number, least?: number) => number;
  /** From 1 to 100. */
  readonly percent: (name: string, otherwise: number) => number;
  readonly oneOf: <const T extends string>(values: readonly T[], name: string, otherwise: T) => T;
  /** Refuses a variable for its relation to others. */
  readonly refuse: (name: string, wanted: string, got: unknown) => void;
  /** @throws DiffusionError INVALID_ARGUMENT (reason SETTINGS_INVALID) naming each variable that was wrong. */
  readonly check: () => void;
}

/** A timer that is set to more ends at once. */
const MOST = 2 ** 31 - 1;

export function environmentReader(env: Environment): EnvironmentReader {
  const violations: FieldViolation[] = [];

  function read<T>(name: string, otherwise: T, parser: Parser<T>): T {
    const text = env[name]?.trim() ?? '';
    if (text === '') return otherwise;
    const value = parser.read(text);
    if (value === undefined) violations.push(violation(name, parser.wanted, text));
    return value ?? otherwise;
  }

  const optional = (name: string): string | undefined => env[name]?.trim() || undefined;

  return {
    text: (name, otherwise) => optional(name) ?? otherwise,
    optional,
    list: (name, separator) =>
      optional(name)
        ?.split(separator)
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    integer: (name, otherwise, least = 1) => read(name, otherwise, integer(least, MOST)),
    percent: (name, otherwise) => read(name, otherwise, integer(1, 100)),
    oneOf: (values, name, otherwise) => read(name, otherwise, oneOf(values)),
    refuse: (name, wanted, got) => {
      violations.push(violation(name, wanted, got));
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
    ...['IP_DIFFUSION_NATIVE_KERNELS', 'IP_DIFFUSION_DEVICE(_MEMORY_PERCENT)?', 'IP_DIFFUSION_TF32'],
    // Plugins and compiled programs are in the cache.
    ...['IP_DIFFUSION_CACHE', 'XDG_CACHE_HOME'],
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

/** An engine process that sends no heartbeat for this long is killed. */
export function engineHeartbeatTimeoutMs({ integer }: Pick<EnvironmentReader, 'integer'>): number {
  // An engine sends no heartbeat while it traces, and tracing a step of a large network takes long.
  return integer('IP_DIFFUSION_ENGINE_HEARTBEAT_TIMEOUT_MS', 300_000, 2000);
}

/** The folder that all checkouts and services of a user share: `IP_DIFFUSION_CACHE`, or ours in the user's cache. */
export function cacheFolder(env: Environment, platform: NodeJS.Platform = process.platform): string {
  const of = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const own = of('IP_DIFFUSION_CACHE');
  if (own !== undefined) return resolve(own);
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'ip-diffusion');
  return join(of('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'ip-diffusion');
}
