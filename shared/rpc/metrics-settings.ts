/** What the environment says about the metrics of a service. */

import { address as addressKind, type EnvironmentReader } from '../foundation/index.js';
import { isInsecure, isLoopback, SECURITY_VARIABLES } from './security-settings.js';

export const METRICS_VARIABLE = 'IP_DIFFUSION_METRICS_ADDRESS';

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
  const address = reader.optional(METRICS_VARIABLE);
  if (address === undefined) return undefined;
  if (addressKind.read(address) === undefined) reader.refuse(METRICS_VARIABLE, addressKind.wanted, address);
  if (isLoopback(address)) return { address, warning: undefined };
  if (!isInsecure(reader)) {
    const wanted = `an address on loopback, as metrics have neither TLS nor authentication; ${SECURITY_VARIABLES.insecure}=on (--insecure) allows others`;
    reader.refuse(METRICS_VARIABLE, wanted, address);
  }
  return {
    address,
    warning: `metrics are served on ${address} without TLS and authentication: whoever reaches that address can read them`,
  };
}
