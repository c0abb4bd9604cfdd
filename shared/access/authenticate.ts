/** From what a call brings to the identity of its caller. */

import { DiffusionError } from '../foundation/index.js';
import { parseIdentities, type Identities } from './identities-file.js';
import type { Identity, Refused } from './identity.js';
import { isInTime, isOfProvider, oidcTokens } from './oidc.js';
import type { AccessSettings } from './settings.js';
import { watchFiles } from './watched-files.js';

/** What a call brings. */
export interface Credentials {
  /** All values of the header `authorization`. */
  readonly authorization: readonly string[];
  /** The names in a client certificate that was verified. */
  readonly certificateNames: readonly string[];
}

export interface Authentication {
  /**
   * Undefined for every call on a service without authentication.
   *
   * @throws DiffusionError UNAUTHENTICATED, with the same text whatever is wrong, which its cause says; UNAVAILABLE.
   */
  readonly identify: (credentials: Credentials) => Promise<Identity | undefined>;
  /**
   * Who the credentials are of now that a call began with; asks no provider.
   *
   * @throws DiffusionError UNAUTHENTICATED where their token has run out, or they were removed from the file.
   */
  readonly identifyAgain: (credentials: Credentials, identity: Identity) => Identity;
  readonly close: () => void;
}

/** What the file says of credentials. */
interface Found {
  readonly identity: Identity | undefined;
  readonly refused: string;
  /** One that a provider may know. */
  readonly token?: string;
}

/** Longer ones are no tokens. */
const MAX_TOKEN = 8192;

/**
 * @param onUnusable Called where the file changes to one that can't be used.
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) for a file that can't be used.
 */
export async function authentication(
  { identitiesFile, oidc, reloadMs }: AccessSettings,
  onUnusable: (error: DiffusionError) => void,
  { newKeysAfterMs }: { readonly newKeysAfterMs?: number } = {},
): Promise<Authentication> {
  const identities =
    identitiesFile === undefined
      ? undefined
      : await watchFiles({
          paths: [identitiesFile],
          parse: ([content = Buffer.alloc(0)]) => parseIdentities(content, identitiesFile),
          everyMs: reloadMs,
          onUnusable,
        });
  // Hashes of the tokens of thousands of calls take long, and are compared again only with another file.
  const checked = new WeakMap<
    Credentials,
    { readonly file: Identities | undefined; readonly identity: Identity }
  >();
  const verify = oidc === undefined ? undefined : oidcTokens(oidc, newKeysAfterMs);

  /** By the file; and why not, where that is sure without a provider. */
  function findInFile({ authorization, certificateNames }: Credentials): Found {
    const known = identities?.current();
    // A token that came is the one that counts, right or wrong.
    if (authorization.length === 0) {
      const refused = certificateNames.length === 0 ? 'there is no token' : 'the certificate is not known';
      return { identity: known?.ofCertificate(certificateNames), refused };
    }
    const token = authorization.length === 1 ? bearerToken(authorization[0] ?? '') : undefined;
    if (token === undefined)
      return { identity: undefined, refused: 'the header authorization is no bearer token' };
    return { identity: known?.ofToken(token), refused: 'the token is not known', token };
  }

  async function find(credentials: Credentials): Promise<Identity | Refused> {
    const { identity, refused, token } = findInFile(credentials);
    if (identity !== undefined) return identity;
    return (token === undefined ? undefined : await verify?.(token)) ?? { refused };
  }

  return {
    async identify(credentials) {
      if (identities === undefined && verify === undefined) return undefined;
      const found = await find(credentials);
      if (!('refused' in found)) return found;
      throw unauthenticated(
        'wanted a valid bearer token, or a client certificate of a known identity',
        found.refused,
      );
    },
    identifyAgain(credentials, before) {
      if (oidc !== undefined && isOfProvider(before)) {
        const [header = ''] = credentials.authorization;
        if (isInTime(bearerToken(header) ?? '', oidc)) return before;
        throw ranOut('its token has run out');
      }
      const file = identities?.current();
      const last = checked.get(credentials);
      if (last !== undefined && last.file === file) return last.identity;
      const { identity, refused } = findInFile(credentials);
      if (identity === undefined) throw ranOut(refused);
      checked.set(credentials, { file, identity });
      return identity;
    },
    close: () => identities?.close(),
  };
}

function ranOut(cause: string): DiffusionError {
  return unauthenticated('the token or certificate of the call is not valid any more', cause);
}

/** @param cause For the log alone. */
function unauthenticated(text: string, cause: string): DiffusionError {
  return new DiffusionError('UNAUTHENTICATED', text, { cause });
}

function bearerToken(header: string): string | undefined {
  if (header.length > MAX_TOKEN) return undefined;
  return /^Bearer +([\x21-\x7e]+)$/i.exec(header)?.[1];
}
