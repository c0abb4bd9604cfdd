/** What the environment says about the metrics of a service. */

import {
  address as addressKind,
  anyText,
  onOff,
  setting,
  type EnvironmentReader,
} from '../foundation/index.js';
import { isLoopback, SECURITY_SETTINGS, type ServerSecurity } from './security-settings.js';
import type { TlsFiles } from './tls.js';

export const METRICS_SETTINGS = {
  metricsAddress: setting(
    'IP_DIFFUSION_METRICS_ADDRESS',
    addressKind,
    "where Prometheus reads metrics (/metrics); on a network over TLS with the service's certificate",
    { otherwise: 'nowhere' },
  ),
  metricsTokenFile: setting(
    'IP_DIFFUSION_METRICS_TOKEN_FILE',
    anyText('FILE'),
    'a file with the token that whoever reads metrics sends (`Authorization: Bearer ...`); it is read again when it changes',
  ),
  metricsInsecure: setting(
    'IP_DIFFUSION_METRICS_INSECURE',
    onOff,
    'serve metrics on a network without TLS, and without a token where none is set',
    { fallback: false, flag: 'switch' },
  ),
} as const;

export interface MetricsSettings {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  /** Undefined where nobody is asked for a token. */
  readonly tokenFile: string | undefined;
  /** Undefined for plain HTTP. */
  readonly tls: Pick<TlsFiles, 'certFile' | 'keyFile'> | undefined;
  /** Files are read again after this time. */
  readonly reloadMs: number;
  /** For the log, where a network can read them because the settings say so. */
  readonly warning: string | undefined;
}

/**
 * Undefined where no metrics are served. On an address other than loopback they need the service's certificate and a
 * token, unless IP_DIFFUSION_METRICS_INSECURE is on.
 */
export function metricsSettings(
  { value, refuse }: EnvironmentReader,
  { tls, access: { reloadMs } }: ServerSecurity,
): MetricsSettings | undefined {
  const { metricsAddress, metricsTokenFile, metricsInsecure } = METRICS_SETTINGS;
  const address = value(metricsAddress);
  const tokenFile = value(metricsTokenFile);
  const isInsecure = value(metricsInsecure);
  if (address === undefined) return undefined;
  const plain = { address, tokenFile, tls: undefined, reloadMs, warning: undefined };
  if (isLoopback(address)) return plain;
  if (isInsecure) {
    const without = tokenFile === undefined ? 'TLS and a token' : 'TLS';
    const warning = `metrics are served on ${address} without ${without}: whoever reaches that address can read them`;
    return { ...plain, warning };
  }
  const why = `to serve metrics on ${address}; ${metricsInsecure.variable}=on (--metrics-insecure) does without`;
  if (tls === undefined) refuse(SECURITY_SETTINGS.tlsCert, `a certificate ${why}`);
  if (tokenFile === undefined) refuse(metricsTokenFile, `a file with a token ${why}`);
  return { ...plain, tls };
}
