/** The options of `serve`, and the variables by which the services get them. */

import { resolve } from 'node:path';

import { DEVICE_CHOICES } from '../../shared/foundation/index.js';
import { STORE_PLACEHOLDER } from '../../shared/store/index.js';
import { SERVICE_VARIABLES, type Environment } from './config.js';
import { address, flag, option, repeated, text, type Values } from './options.js';

const { store, device, metricsAddress, tlsCert, tlsKey, tlsClientCa, identities, oidcIssuer, oidcAudience } =
  SERVICE_VARIABLES;

export const serviceOptions = {
  store: option(text(STORE_PLACEHOLDER), 'where checkpoints are kept', { environment: store }),
  device: option(text('DEVICE'), `what to compute on: ${DEVICE_CHOICES}`, { environment: device }),
  tlsCert: option(text('FILE'), 'a certificate with its chain, in PEM: the service speaks TLS', {
    environment: tlsCert,
  }),
  tlsKey: option(text('FILE'), "the certificate's key", { environment: tlsKey }),
  tlsClientCa: option(text('FILE'), "the certificates that clients' certificates must go back to", {
    environment: tlsClientCa,
  }),
  identities: option(text('FILE'), 'who may call: names, roles, and hashes of tokens', {
    environment: identities,
  }),
  oidcIssuer: option(text('URL'), 'an OpenID Connect provider whose tokens are taken', {
    environment: oidcIssuer,
  }),
  oidcAudience: option(text('TEXT'), 'the audience that its tokens must be made for', {
    environment: oidcAudience,
  }),
  metricsAddress: option(
    address,
    'where Prometheus reads metrics (/metrics); of two services the sampler takes the next port',
    { environment: metricsAddress },
  ),
  insecure: flag('listen on a network without TLS or authentication'),
};

export const dataOptions = {
  dataRoot: repeated(text('DIR'), 'a folder that data sets may be in; may be given several times'),
  dataBucket: repeated(text('BUCKET'), 'a bucket that data sets may be in; may be given several times'),
};

export const SERVICE_NOTES = [
  'The services listen on the loopback interface unless an address says otherwise. To listen on a network, a service needs\n--tls-cert, --tls-key, and --identities or --oidc-issuer, or --insecure.',
];

/** The variables of what was given. */
export function serviceVariables(
  values: Values<typeof serviceOptions> & Partial<Values<typeof dataOptions>>,
): Environment {
  const { insecure, dataRoot = [], dataBucket = [] } = values;
  const given = {
    [store]: values.store,
    // A path may be relative to where the command runs.
    [device]: values.device?.includes('/') === true ? resolve(values.device) : values.device,
    [tlsCert]: values.tlsCert,
    [tlsKey]: values.tlsKey,
    [tlsClientCa]: values.tlsClientCa,
    [metricsAddress]: values.metricsAddress,
    [identities]: values.identities,
    [oidcIssuer]: values.oidcIssuer,
    [oidcAudience]: values.oidcAudience,
    [SERVICE_VARIABLES.insecure]: insecure ? 'on' : undefined,
    [SERVICE_VARIABLES.dataRoots]: listOf(dataRoot.map((folder) => resolve(folder))),
    [SERVICE_VARIABLES.dataBuckets]: listOf(dataBucket),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** The variables of the second of two services: its metrics have the next port. */
export function besides(variables: Environment): Environment {
  const first = variables[metricsAddress];
  if (first === undefined) return variables;
  const next = first.replace(/:(\d+)$/, (_, port: string) => `:${port === '0' ? 0 : Number(port) + 1}`);
  return { ...variables, [metricsAddress]: next };
}

function listOf(values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : values.join(',');
}
