/** What the environment says about security, and what a service needs before it listens on a network. */

import { ACCESS_SETTINGS, accessSettings, isAuthenticated, type AccessSettings } from '../access/index.js';
import { anyText, oneOf, onOff, setting, type EnvironmentReader } from '../foundation/index.js';
import type { TlsFiles } from './tls.js';

export const SECURITY_SETTINGS = {
  ...ACCESS_SETTINGS,
  tlsCert: setting(
    'IP_DIFFUSION_TLS_CERT_FILE',
    anyText('FILE'),
    'a certificate with its chain, in PEM: the service speaks TLS',
  ),
  tlsKey: setting('IP_DIFFUSION_TLS_KEY_FILE', anyText('FILE'), "the certificate's key, in PEM"),
  tlsClientCa: setting(
    'IP_DIFFUSION_TLS_CLIENT_CA_FILE',
    anyText('FILE'),
    "the certificate authorities, in PEM, to trust for clients' certificates",
  ),
  tlsClientCertificates: setting(
    'IP_DIFFUSION_TLS_CLIENT_CERTIFICATES',
    oneOf(['required', 'optional']),
    'whether clients need a certificate, or may have a token instead; where their authorities are given',
    { fallback: 'required' },
  ),
  insecure: setting('IP_DIFFUSION_INSECURE', onOff, 'listen on a network without TLS or authentication', {
    fallback: false,
    flag: 'switch',
  }),
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
  const { value, refuse } = reader;
  const tls = tlsFiles(reader);
  const access = accessSettings(reader);
  const insecure = value(SECURITY_SETTINGS.insecure);
  const missing = [
    ...(tls === undefined ? ['TLS'] : []),
    ...(isAuthenticated(access) ? [] : ['authentication']),
  ];
  if (isLoopback(address) || missing.length === 0) return { tls, access, warning: undefined };
  if (insecure) {
    const warning = `the service listens on ${address} without ${missing.join(' and ')}: whoever reaches that address can use it`;
    return { tls, access, warning };
  }
  const { tlsCert, identities, oidcIssuer, insecure: without } = SECURITY_SETTINGS;
  const why = `to listen on ${address}; ${without.variable}=on (--insecure) does without`;
  if (tls === undefined) refuse(tlsCert, `a certificate ${why}`, value(tlsCert));
  if (!isAuthenticated(access)) refuse(identities, `a file of identities, or ${oidcIssuer.variable}, ${why}`);
  return { tls, access, warning: undefined };
}

/** Whether an address `host:port` can be reached from this machine only. */
export function isLoopback(address: string): boolean {
  if (address.startsWith('unix:')) return true;
  const host = address.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function tlsFiles({ value, refuse }: EnvironmentReader): TlsFiles | undefined {
  const { tlsCert, tlsKey } = SECURITY_SETTINGS;
  const [certFile, keyFile] = [value(tlsCert), value(tlsKey)];
  const clientCaFile = value(SECURITY_SETTINGS.tlsClientCa);
  const clientCertificates = value(SECURITY_SETTINGS.tlsClientCertificates);
  if (certFile === undefined && keyFile === undefined) {
    if (clientCaFile !== undefined) refuse(tlsCert, 'a certificate, as clients are to show one too');
    return undefined;
  }
  if (certFile === undefined) refuse(tlsCert, 'the certificate of the key');
  if (keyFile === undefined) refuse(tlsKey, 'the key of the certificate');
  return { certFile: certFile ?? '', keyFile: keyFile ?? '', clientCaFile, clientCertificates };
}
