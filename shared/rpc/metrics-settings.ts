/** What the environment says about the metrics of a service. */

import { address as addressKind, setting, type EnvironmentReader } from '../foundation/index.js';
import { isInsecure, isLoopback, SECURITY_SETTINGS } from './security-settings.js';

export const METRICS_SETTINGS = {
  metricsAddress: setting(
    'IP_DIFFUSION_METRICS_ADDRESS',
    addressKind,
    'where Prometheus reads metrics (/metrics)',
    { otherwise: 'nowhere' },
  ),
} as const;

export interface MetricsSettings {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  /** For the log, where a network can read them because the settings say so. */
  readonly warning: string | undefined;
}

/**
 * Undefined where no metrics are served. They have neither TLS nor authentication, so an address other than loopback is
 * refused unless IP_DIFFUSION_INSECURE is on.
 */
export function metricsSettings(reader: EnvironmentReader): MetricsSettings | undefined {
  const { metricsAddress } = METRICS_SETTINGS;
  const address = reader.value(metricsAddress);
  if (address === undefined) return undefined;
  if (isLoopback(address)) return { address, warning: undefined };
  if (!isInsecure(reader)) {
    const wanted = `an address on loopback, as metrics have neither TLS nor authentication; ${SECURITY_SETTINGS.insecure.variable}=on (--insecure) allows others`;
    reader.refuse(metricsAddress, wanted, address);
  }
  return {
    address,
    warning: `metrics are served on ${address} without TLS and authentication: whoever reaches that address can read them`,
  };
}
