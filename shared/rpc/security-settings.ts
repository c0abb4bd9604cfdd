/** What the environment says about security, and what a service needs before it listens on a network. */

import { accessSettings, ACCESS_VARIABLES, isAuthenticated, type AccessSettings } from '../access/index.js';
import type { EnvironmentReader } from '../foundation/index.js';
import type { TlsFiles } from './tls.js';

export const SECURITY_VARIABLES = {
  ...ACCESS_VARIABLES,
  tlsCert: 'IP_DIFFUSION_TLS_CERT_FILE',
  tlsKey: 'IP_DIFFUSION_TLS_KEY_FILE',
  tlsClientCa: 'IP_DIFFUSION_TLS_CLIENT_CA_FILE',
  insecure: 'IP_DIFFUSION_INSECURE',
} as const;

export interface ServerSecurity {
  /** Undefined for plain HTTP/2. */
  readonly tls: TlsFiles | undefined;
  readonly access: AccessSettings;
  /** For the log, where a network can reach a service without TLS or authentication because the settings say so. */
  readonly warning: string | undefined;
}

/**
 * What an address other than loopback needs is refused by the variables that are missing, unless IP_DIFFUSION_INSECURE
 * is on.
 */
export function securitySettings(address: string, reader: EnvironmentReader): ServerSecurity {
  const { optional, refuse } = reader;
  const tls = tlsFiles(reader);
  const access = accessSettings(reader);
  const insecure = isInsecure(reader);
  const missing = [
    ...(tls === undefined ? ['TLS'] : []),
    ...(isAuthenticated(access) ? [] : ['authentication']),
  ];
  if (isLoopback(address) || missing.length === 0) return { tls, access, warning: undefined };
  if (insecure) {
    const warning = `the service listens on ${address} without ${missing.join(' and ')}: whoever reaches that address can use it`;
    return { tls, access, warning };
  }
  const why = `to listen on ${address}; ${SECURITY_VARIABLES.insecure}=on (--insecure) does without`;
  if (tls === undefined)
    refuse(SECURITY_VARIABLES.tlsCert, `a certificate ${why}`, optional(SECURITY_VARIABLES.tlsCert));
  if (!isAuthenticated(access)) {
    const wanted = `a file of identities, or ${SECURITY_VARIABLES.oidcIssuer}, ${why}`;
    refuse(SECURITY_VARIABLES.identities, wanted, undefined);
  }
  return { tls, access, warning: undefined };
}

/** Whether a network may have what has neither TLS nor authentication. */
export function isInsecure({ oneOf }: EnvironmentReader): boolean {
  return oneOf(['on', 'off'], SECURITY_VARIABLES.insecure, 'off') === 'on';
}

/** Whether an address `host:port` can be reached from this machine only. */
export function isLoopback(address: string): boolean {
  if (address.startsWith('unix:')) return true;
  const host = address.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function tlsFiles({ optional, oneOf, refuse }: EnvironmentReader): TlsFiles | undefined {
  const certFile = optional(SECURITY_VARIABLES.tlsCert);
  const keyFile = optional(SECURITY_VARIABLES.tlsKey);
  const clientCaFile = optional(SECURITY_VARIABLES.tlsClientCa);
  const clientCertificates = oneOf(
    ['required', 'optional'],
    'IP_DIFFUSION_TLS_CLIENT_CERTIFICATES',
    'required',
  );
  if (certFile === undefined && keyFile === undefined) {
    if (clientCaFile !== undefined)
      refuse(SECURITY_VARIABLES.tlsCert, 'a certificate, as clients are to show one too', undefined);
    return undefined;
  }
  if (certFile === undefined) refuse(SECURITY_VARIABLES.tlsCert, 'the certificate of the key', undefined);
  if (keyFile === undefined) refuse(SECURITY_VARIABLES.tlsKey, 'the key of the certificate', undefined);
  return { certFile: certFile ?? '', keyFile: keyFile ?? '', clientCaFile, clientCertificates };
}
