/** Tokens of an OpenID Connect provider: JWTs that are verified with the provider's current keys. */

import {
  createRemoteJWKSet,
  decodeJwt,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import { z } from 'zod';

import { DiffusionError, systemClock } from '../foundation/index.js';
import { ROLES, type Identity, type Refused } from './identity.js';

export interface OidcSettings {
  /** Exactly as tokens have it in `iss`. */
  readonly issuer: string;
  readonly audience: string;
  /** Where the keys are; by default the issuer's own description says it. */
  readonly jwksUrl: string | undefined;
  readonly algorithms: readonly string[];
  /** The claims with roles (a list, or words with spaces between them) and tenant. */
  readonly rolesClaim: string;
  readonly tenantClaim: string;
  readonly clockSkewSeconds: number;
}

/** Signatures by a private key only: with a shared secret, whoever verifies a token could make one. */
export const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const;
export const MAX_CLOCK_SKEW_SECONDS = 60;

const FETCH_WITHIN_MS = 5000;
const KEYS_KEPT_MS = 10 * 60_000;
const RETRY_AFTER_MS = 5000;
const MAX_SUBJECT = 255;
const MAX_DESCRIPTION_BYTES = 256 * 1024;

const descriptionSchema = z.object({ issuer: z.string(), jwks_uri: z.string() });
const tenantSchema = z.string().regex(/^[\x21-\x7e]{1,128}$/);
const subjectSchema = z
  .string()
  .regex(/^[\x20-\x7e]+$/)
  .max(MAX_SUBJECT);

/** The identity of a valid token, or why there is none. @throws DiffusionError UNAVAILABLE. */
export type VerifyToken = (token: string) => Promise<Identity | Refused>;

/** @param newKeysAfterMs A key that is not known is asked for again after this time at the earliest. */
export function oidcTokens(settings: OidcSettings, newKeysAfterMs = 5000): VerifyToken {
  const { issuer, audience, algorithms, clockSkewSeconds } = settings;
  let keys: JWTVerifyGetKey | undefined;

  async function currentKeys(): Promise<JWTVerifyGetKey> {
    keys ??= createRemoteJWKSet(new URL(settings.jwksUrl ?? (await describedJwksUrl(issuer))), {
      timeoutDuration: FETCH_WITHIN_MS,
      cooldownDuration: newKeysAfterMs,
      cacheMaxAge: KEYS_KEPT_MS,
    });
    return keys;
  }

  return async (token) => {
    // Nothing is fetched for what can't be a JWT.
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return { refused: 'the token is not known, and is no JWT' };
    try {
      const { payload } = await jwtVerify(token, await currentKeys(), {
        ...{ issuer, audience, algorithms: [...algorithms], clockTolerance: clockSkewSeconds },
        requiredClaims: ['sub', 'exp'],
      });
      return identityOf(payload, settings);
    } catch (error) {
      if (isOfToken(error)) return { refused: refusalText(error) };
      const text = 'the keys of the identity provider could not be fetched';
      throw new DiffusionError('IDENTITY_PROVIDER_UNAVAILABLE', text, {
        retryAfterMs: RETRY_AFTER_MS,
        cause: error,
      });
    }
  };
}

/** Begins the names of identities that a provider knows; no name in the file of identities has a colon. */
const NAME_PREFIX = 'oidc:';

/** Whether an identity was found by a token of a provider. */
export function isOfProvider({ name }: Identity): boolean {
  return name.startsWith(NAME_PREFIX);
}

/** Whether a token that was verified before has not run out since. */
export function isInTime(token: string, { clockSkewSeconds }: OidcSettings): boolean {
  const { exp = 0 } = decodeJwt(token);
  return systemClock.wallMs() < 1000 * (exp + clockSkewSeconds);
}

function identityOf(payload: JWTPayload, { rolesClaim, tenantClaim }: OidcSettings): Identity | Refused {
  const subject = subjectSchema.safeParse(payload.sub);
  if (!subject.success) return { refused: 'the claim sub is no name' };
  const name = `${NAME_PREFIX}${subject.data}`;
  const claimed = payload[rolesClaim];
  const words: readonly unknown[] = typeof claimed === 'string' ? claimed.split(' ') : arrayOf(claimed);
  const tenant = tenantSchema.safeParse(payload[tenantClaim] ?? name);
  if (!tenant.success) return { refused: `the claim ${tenantClaim} is no name` };
  return { name, roles: ROLES.filter((role) => words.includes(role)), tenant: tenant.data };
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Whether the token is to blame, and not the provider. */
function isOfToken(error: unknown): error is errors.JOSEError {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return false;
  // A plain JOSEError is an answer of the provider's that is no set of keys.
  return error instanceof errors.JOSEError && error.constructor !== errors.JOSEError;
}

/** In words that hold nothing of the token. */
function refusalText(error: errors.JOSEError): string {
  const claim =
    error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired
      ? ` (claim ${error.claim})`
      : '';
  return `the token is not valid: ${error.code}${claim}`;
}

/** The address of the keys, as the issuer describes itself (OpenID Connect Discovery 1.0, section 4). */
async function describedJwksUrl(issuer: string): Promise<string> {
  const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
    signal: AbortSignal.timeout(FETCH_WITHIN_MS),
    redirect: 'error',
  });
  if (!response.ok) throw new Error(`the issuer answered with status ${response.status}`);
  const text = await response.text();
  if (text.length > MAX_DESCRIPTION_BYTES) throw new Error('the description of the issuer is too long');
  const description = descriptionSchema.parse(JSON.parse(text));
  if (description.issuer !== issuer) throw new Error('the issuer describes itself by another name');
  if (!isSafeUrl(description.jwks_uri)) throw new Error('the keys must come over HTTPS');
  return description.jwks_uri;
}

/** HTTPS, or this machine itself. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return (
    protocol === 'https:' || (protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname))
  );
}
