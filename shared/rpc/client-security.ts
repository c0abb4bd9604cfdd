/** What a client shows and wants to see: certificates, and a token that goes with each call. */

import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';

import {
  credentials,
  InterceptingCall,
  type ChannelCredentials,
  type ClientOptions,
  type Interceptor,
} from '@grpc/grpc-js';

import { DiffusionError } from '../foundation/index.js';
import { isLoopback } from './security-settings.js';

export interface ClientSecurity {
  /**
   * The certificate authorities, in PEM, to trust for the server's certificate; `system` for those that Node trusts. Undefined for a
   * connection without TLS.
   */
  readonly ca?: string | undefined;
  /** The client's certificate and key, in PEM, for a server that asks for one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** A file that holds a token; it is read again for each call. */
  readonly tokenFile?: string | undefined;
}

export const SYSTEM_CA = 'system';

/**
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) for files that can't be used, or a token that
 * would cross a network in the clear.
 */
export function channelSecurity(
  address: string,
  { ca, cert, key, tokenFile }: ClientSecurity,
): { readonly credentials: ChannelCredentials; readonly options: ClientOptions } {
  if (ca === undefined && (cert !== undefined || key !== undefined))
    throw refused('wanted the certificates that the server is checked with (--ca) beside --cert and --key');
  if ((cert === undefined) !== (key === undefined))
    throw refused('wanted --cert and --key together, or neither');
  if (ca === undefined && tokenFile !== undefined && !isLoopback(address))
    throw refused(`wanted TLS (--ca) to ${address}: a token is sent to another machine over TLS only`);
  return {
    credentials:
      ca === undefined
        ? credentials.createInsecure()
        : withTls(
            ca === SYSTEM_CA ? Buffer.from(rootCertificates.join('\n')) : contentOf(ca),
            cert === undefined ? null : contentOf(cert),
            key === undefined ? null : contentOf(key),
          ),
    options: tokenFile === undefined ? {} : { interceptors: [tokenSender(tokenFile)] },
  };
}

function withTls(ca: Buffer, cert: Buffer | null, key: Buffer | null): ChannelCredentials {
  try {
    return credentials.createSsl(ca, key, cert);
  } catch {
    throw refused('wanted certificates and keys in PEM that belong together');
  }
}

/** Not grpc-js's call credentials: they refuse a connection without TLS, and a local service may have none. */
function tokenSender(path: string): Interceptor {
  let token = tokenIn(path);
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        try {
          token = tokenIn(path);
        } catch {
          // It is being exchanged: the one before may still be valid.
        }
        metadata.set('authorization', `Bearer ${token}`);
        next(metadata, listener);
      },
    });
}

function tokenIn(path: string): string {
  const token = contentOf(path).toString('utf8').trim();
  if (/^[\x21-\x7e]{1,8000}$/.test(token)) return token;
  throw refused(`${path}: wanted a file that holds a token and nothing else`);
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw refused(`${path} can't be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function refused(message: string): DiffusionError {
  return new DiffusionError('CREDENTIALS_UNUSABLE', message);
}
