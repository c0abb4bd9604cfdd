/** What is set for every service alike: where it listens, and what it logs. */

import {
  address as addressKind,
  anyText,
  count,
  oneOf,
  onOff,
  setting,
  type EnvironmentReader,
  type Settled,
} from '../foundation/index.js';
import type { DefaultDeadlines } from './deadlines.js';
import { limitsInForce, type LimitInForce, type ServiceSettings } from '../settings/index.js';
import { TRACING_SETTINGS, tracingSettings, type TracingSettings } from '../tracing/index.js';
import { METRICS_SETTINGS, metricsSettings, type MetricsSettings } from './metrics-settings.js';
import { READINESS_SETTINGS } from './readiness.js';
import { SECURITY_SETTINGS, securitySettings, type ServerSecurity } from './security-settings.js';

export type ServiceName = 'trainer' | 'sampler';

/** As the contracts and health name them. */
export const SERVICE_NAMES = {
  trainer: 'diffusion.trainer.v1.TrainerService',
  sampler: 'diffusion.sampler.v1.SamplerService',
} as const satisfies Readonly<Record<ServiceName, string>>;

/** Where a service listens, and clients look for it, unless an address says otherwise. */
export const DEFAULT_ADDRESSES: Readonly<Record<ServiceName, string>> = {
  trainer: '127.0.0.1:50061',
  sampler: '127.0.0.1:50062',
};

/** Where a service listens. */
export const ADDRESS_SETTINGS = {
  trainer: listening('trainer', 'IP_DIFFUSION_TRAINER_ADDRESS'),
  sampler: listening('sampler', 'IP_DIFFUSION_SAMPLER_ADDRESS'),
} as const;

function listening(service: ServiceName, variable: string): Settled<string> {
  // The server says what is wrong with one that it can't listen on.
  const kind = { ...anyText(addressKind.placeholder), wanted: addressKind.wanted };
  return setting(variable, kind, 'where it listens; port 0 takes a free one', {
    fallback: DEFAULT_ADDRESSES[service],
  });
}

/** A timer holds no more. */
const MAX_SECONDS = 2_000_000;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Of every service, without the address, which is each service's own. */
export const SERVER_SETTINGS = {
  ...SECURITY_SETTINGS,
  ...METRICS_SETTINGS,
  ...TRACING_SETTINGS,
  reflection: setting(
    'IP_DIFFUSION_REFLECTION',
    onOff,
    'whether clients can read the contracts from the server',
    {
      fallback: true,
    },
  ),
  logLevel: setting(
    'IP_DIFFUSION_LOG_LEVEL',
    oneOf(LOG_LEVELS),
    'the least important lines that are logged',
    {
      fallback: 'info',
    },
  ),
  ...READINESS_SETTINGS,
  commit: setting(
    'IP_DIFFUSION_COMMIT',
    anyText('TEXT'),
    'the commit that the build was made from, for `ip-diffusion info`',
  ),
  unaryDeadlineSeconds: setting(
    'IP_DIFFUSION_UNARY_DEADLINE_SECONDS',
    count(1, MAX_SECONDS),
    'how long a call with one answer may take that comes without a deadline',
    { fallback: 600, unit: 's' },
  ),
  generateDeadlineSeconds: setting(
    'IP_DIFFUSION_GENERATE_DEADLINE_SECONDS',
    count(1, MAX_SECONDS),
    'how long a Generate or Encode may take that comes without a deadline; watches have none',
    { fallback: 86_400, unit: 's' },
  ),
  stallTimeoutMs: setting(
    'IP_DIFFUSION_STALL_TIMEOUT_MS',
    count(1000),
    'a client that reads nothing from its stream for this long is cut off',
    { fallback: 60_000, unit: 'ms' },
  ),
} as const;

export interface ServerSettings {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly security: ServerSecurity;
  /** Undefined where no metrics are served. */
  readonly metrics: MetricsSettings | undefined;
  /** Undefined where nothing is traced. */
  readonly tracing: TracingSettings | undefined;
  readonly reflection: boolean;
  /** As pino names them. */
  readonly logLevel: (typeof LOG_LEVELS)[number];
  /** A reader that takes nothing for this long is cut off. */
  readonly stallTimeoutMs: number;
  readonly deadlines: DefaultDeadlines;
  /** The store is asked this often whether it answers. */
  readonly storeProbeMs: number;
  /** A service whose store hasn't answered for this long is not ready. */
  readonly storeUnreadyMs: number;
  /** Whether an engine is started once, to see that it can. */
  readonly engineCheck: boolean;
  /** The settings that are numbers. */
  readonly limits: readonly LimitInForce[];
  /** That the build was made from. */
  readonly commit: string | undefined;
}

export function serverSettings(
  table: ServiceSettings<ServiceName>,
  reader: EnvironmentReader,
): ServerSettings {
  const { value } = reader;
  const address = value(ADDRESS_SETTINGS[table.service]);
  const security = securitySettings(address, reader);
  return {
    address,
    security,
    metrics: metricsSettings(reader, security),
    tracing: tracingSettings(reader),
    reflection: value(SERVER_SETTINGS.reflection),
    logLevel: value(SERVER_SETTINGS.logLevel),
    stallTimeoutMs: value(SERVER_SETTINGS.stallTimeoutMs),
    deadlines: {
      unaryMs: 1000 * value(SERVER_SETTINGS.unaryDeadlineSeconds),
      generateMs: 1000 * value(SERVER_SETTINGS.generateDeadlineSeconds),
    },
    storeProbeMs: value(SERVER_SETTINGS.storeProbeMs),
    storeUnreadyMs: value(SERVER_SETTINGS.storeUnreadyMs),
    engineCheck: value(SERVER_SETTINGS.engineCheck),
    limits: limitsInForce(table, reader),
    commit: value(SERVER_SETTINGS.commit),
  };
}
