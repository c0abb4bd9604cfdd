/** From what a call brings to the identity of its caller. */

import { DiffusionError } from '../foundation/index.js';
import { parseIdentities } from './identities-file.js';
import type { Identity, Refused } from './identity.js';
import { oidcTokens } from './oidc.js';
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
  readonly close: () => void;
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
  const verify = oidc === undefined ? undefined : oidcTokens(oidc, newKeysAfterMs);

  async function find({ authorization, certificateNames }: Credentials): Promise<Identity | Refused> {
    const known = identities?.current();
    // A token that came is the one that counts, right or wrong.
    if (authorization.length === 0) {
      const refused = certificateNames.length === 0 ? 'there is no token' : 'the certificate is not known';
      return known?.ofCertificate(certificateNames) ?? { refused };
    }
    const token = authorization.length === 1 ? bearerToken(authorization[0] ?? '') : undefined;
    if (token === undefined) return { refused: 'the header authorization is no bearer token' };
    return known?.ofToken(token) ?? (await verify?.(token)) ?? { refused: 'the token is not known' };
  }

  return {
    async identify(credentials) {
      if (identities === undefined && verify === undefined) return undefined;
      const found = await find(credentials);
      if (!('refused' in found)) return found;
      throw new DiffusionError(
        'UNAUTHENTICATED',
        'wanted a valid bearer token, or a client certificate of a known identity',
        { cause: found.refused },
      );
    },
    close: () => identities?.close(),
  };
}

function bearerToken(header: string): string | undefined {
  if (header.length > MAX_TOKEN) return undefined;
  return /^Bearer +([\x21-\x7e]+)$/i.exec(header)?.[1];
}
