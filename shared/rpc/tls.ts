/** Server credentials from files that may change while the server runs. */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

import { experimental, ServerCredentials } from '@grpc/grpc-js';

import { unusable, watchFiles, type WatchedFiles } from '../access/index.js';
import type { DiffusionError } from '../foundation/index.js';

export interface TlsFiles {
  /** The server's certificate with its chain, in PEM. */
  readonly certFile: string;
  readonly keyFile: string;
  /** The certificate authorities, in PEM, to trust for clients' certificates; undefined where clients show none. */
  readonly clientCaFile: string | undefined;
  /** Whether a connection without a client certificate of that kind is refused. */
  readonly clientCertificates: 'required' | 'optional';
}

export interface WatchedCredentials {
  readonly credentials: ServerCredentials;
  readonly close: () => void;
}

interface Loaded {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  readonly caCertificate: Buffer | undefined;
}

/**
 * New connections get what the files say now; connections that are open stay. Why not grpc-js's own
 * FileWatcherCertificateProvider: it refuses new connections while certificate and key don't fit each other or a file is
 * missing, which lasts from one write to the next; here the files that were usable last stay in use.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) where the files can't be used at the start.
 */
export async function tlsCredentials(
  files: TlsFiles,
  everyMs: number,
  onUnusable: (error: DiffusionError) => void,
): Promise<WatchedCredentials> {
  const watched = await watchCertificates(files, everyMs, onUnusable);
  const provider = providerOf(watched);
  return {
    credentials: experimental.createCertificateProviderServerCredentials(
      // Its types name the two the other way round.
      provider,
      files.clientCaFile === undefined ? null : provider,
      files.clientCertificates === 'required',
    ),
    close: watched.close,
  };
}

/** Certificate and key, which belong together. @throws as `tlsCredentials`. */
export function watchCertificates(
  { certFile, keyFile, clientCaFile }: Omit<TlsFiles, 'clientCertificates'>,
  everyMs: number,
  onUnusable: (error: DiffusionError) => void,
): Promise<WatchedFiles<Loaded>> {
  const paths = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
  return watchFiles({
    paths,
    everyMs,
    onUnusable,
    parse: ([certificate = Buffer.alloc(0), privateKey = Buffer.alloc(0), caCertificate]) => {
      const loaded = { certificate, privateKey, caCertificate };
      checkPair(loaded, paths);
      return loaded;
    },
  });
}

/** @throws DiffusionError that holds nothing of a key. */
function checkPair({ certificate, privateKey, caCertificate }: Loaded, paths: readonly string[]): void {
  const [certFile = '', keyFile = '', caFile = ''] = paths;
  const parsed = attempt(() => new X509Certificate(certificate), certFile, 'wanted a certificate in PEM');
  const key = attempt(() => createPrivateKey(privateKey), keyFile, 'wanted a private key in PEM');
  if (!parsed.checkPrivateKey(key))
    throw unusable([certFile, keyFile], 'the key is not that of the certificate');
  if (caCertificate !== undefined)
    attempt(() => new X509Certificate(caCertificate), caFile, 'wanted certificates in PEM');
  attempt(
    () => createSecureContext({ cert: certificate, key: privateKey, ca: caCertificate }),
    certFile,
    'wanted a certificate with its chain',
  );
}

function attempt<T>(work: () => T, path: string, wanted: string): T {
  try {
    return work();
  } catch {
    throw unusable([path], wanted);
  }
}

function providerOf(files: WatchedFiles<Loaded>): experimental.CertificateProvider {
  const authorities = new Set<experimental.CaCertificateUpdateListener>();
  const identities = new Set<experimental.IdentityCertificateUpdateListener>();
  const tell = {
    authority: (listener: experimental.CaCertificateUpdateListener): void => {
      const { caCertificate } = files.current();
      listener(caCertificate === undefined ? null : { caCertificate });
    },
    identity: (listener: experimental.IdentityCertificateUpdateListener): void => {
      listener(files.current());
    },
  };
  files.onChange(() => {
    authorities.forEach(tell.authority);
    identities.forEach(tell.identity);
  });
  return {
    addCaCertificateListener: (listener) => {
      authorities.add(listener);
      process.nextTick(tell.authority, listener);
    },
    removeCaCertificateListener: (listener) => {
      authorities.delete(listener);
    },
    addIdentityCertificateListener: (listener) => {
      identities.add(listener);
      process.nextTick(tell.identity, listener);
    },
    removeIdentityCertificateListener: (listener) => {
      identities.delete(listener);
    },
  };
}
