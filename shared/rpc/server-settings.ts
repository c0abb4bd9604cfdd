/** What the environment says to every service alike: where it listens, and what it logs. */

import type { EnvironmentReader } from '../foundation/index.js';
import { metricsSettings, type MetricsSettings } from './metrics-settings.js';
import { securitySettings, type ServerSecurity } from './security-settings.js';

export type ServiceName = 'trainer' | 'sampler';

/** Where a service listens, and clients look for it, unless an address says otherwise. */
export const DEFAULT_ADDRESSES: Readonly<Record<ServiceName, string>> = {
  trainer: '127.0.0.1:50061',
  sampler: '127.0.0.1:50062',
};

/** The variables that say where a service listens. */
export const ADDRESS_VARIABLES = {
  trainer: 'IP_DIFFUSION_TRAINER_ADDRESS',
  sampler: 'IP_DIFFUSION_SAMPLER_ADDRESS',
} as const satisfies Readonly<Record<ServiceName, string>>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const STALL_TIMEOUT_MS = 60_000;

export interface ServerSettings {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly security: ServerSecurity;
  /** Undefined where no metrics are served. */
  readonly metrics: MetricsSettings | undefined;
  readonly reflection: boolean;
  /** As pino names them. */
  readonly logLevel: (typeof LOG_LEVELS)[number];
  /** A reader that takes nothing for this long is cut off. */
  readonly stallTimeoutMs: number;
}

export function serverSettings(service: ServiceName, reader: EnvironmentReader): ServerSettings {
  const { text, oneOf } = reader;
  const address = text(ADDRESS_VARIABLES[service], DEFAULT_ADDRESSES[service]);
  return {
    address,
    security: securitySettings(address, reader),
    metrics: metricsSettings(reader),
    reflection: oneOf(['on', 'off'], 'IP_DIFFUSION_REFLECTION', 'on') === 'on',
    logLevel: oneOf(LOG_LEVELS, 'IP_DIFFUSION_LOG_LEVEL', 'info'),
    stallTimeoutMs: STALL_TIMEOUT_MS,
  };
}
