/** The flags of a connection to Temporal, and what they open. */

import { readFile } from 'node:fs/promises';

import type { Client } from '@temporalio/client';

import { downloadsFolder } from '../../../shared/foundation/index.js';
import type { Context } from '../command.js';
import { address, option, text, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import {
  temporalPackages,
  unreachable,
  type TemporalAddress,
  type TemporalPackages,
} from './temporal-packages.js';

export const temporalOptions = {
  temporal: option(address, "the Temporal server's address", {
    fallback: '127.0.0.1:7233',
    environment: 'IP_DIFFUSION_TEMPORAL',
  }),
  namespace: option(text('NAME'), "Temporal's namespace", {
    fallback: 'default',
    environment: 'IP_DIFFUSION_TEMPORAL_NAMESPACE',
  }),
  queue: option(text('NAME'), "the workers' queue", { fallback: 'ip-diffusion' }),
  temporalCa: option(
    text('FILE'),
    "connect with TLS: the certificate authorities, in PEM, to trust for the Temporal server's certificate",
  ),
  temporalCert: option(text('FILE'), 'a certificate to show to the Temporal server'),
  temporalKey: option(text('FILE'), "the certificate's key"),
};

type TemporalValues = Values<typeof temporalOptions>;

/** @throws UsageError for a certificate without its key or without TLS; an error of the file system. */
export async function temporalAddress(values: TemporalValues, usage: string): Promise<TemporalAddress> {
  const { temporal, temporalCa: ca, temporalCert: cert, temporalKey: key } = values;
  if ((cert === undefined) !== (key === undefined) || (ca === undefined && cert !== undefined))
    throw new UsageError('--temporal-cert and --temporal-key go together, and with --temporal-ca', usage);
  if (ca === undefined) return { address: temporal };
  const pair =
    cert === undefined || key === undefined
      ? {}
      : { clientCertPair: { crt: await readFile(cert), key: await readFile(key) } };
  return { address: temporal, tls: { serverRootCACertificate: await readFile(ca), ...pair } };
}

export function packagesOf({ settings }: Pick<Context, 'settings'>): TemporalPackages {
  return temporalPackages(downloadsFolder(settings.environment));
}

/**
 * A client for as long as it is used.
 *
 * @throws DiffusionError PACKAGES_MISSING, TEMPORAL_UNREACHABLE.
 */
export async function withTemporal<T>(
  values: TemporalValues,
  usage: string,
  context: Pick<Context, 'settings'>,
  use: (client: Client, packages: TemporalPackages) => Promise<T>,
): Promise<T> {
  const packages = packagesOf(context);
  const server = await temporalAddress(values, usage);
  const connection = await packages.client.Connection.connect(server).catch((cause: unknown) => {
    throw unreachable(server, cause);
  });
  try {
    return await use(new packages.client.Client({ connection, namespace: values.namespace }), packages);
  } finally {
    await connection.close();
  }
}
