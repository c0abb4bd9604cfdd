/** What the environment says about who may call. */

import type { EnvironmentReader } from '../foundation/index.js';
import type { CallLimits } from './call-limits.js';
import { ALGORITHMS, isSafeUrl, MAX_CLOCK_SKEW_SECONDS, type OidcSettings } from './oidc.js';

export const ACCESS_VARIABLES = {
  identities: 'IP_DIFFUSION_IDENTITIES_FILE',
  oidcIssuer: 'IP_DIFFUSION_OIDC_ISSUER',
  oidcAudience: 'IP_DIFFUSION_OIDC_AUDIENCE',
} as const;

export interface AccessSettings {
  readonly identitiesFile: string | undefined;
  readonly oidc: OidcSettings | undefined;
  /** For each identity, or for each address without authentication; undefined for none. */
  readonly limits: CallLimits | undefined;
  /** Calls of one address that may fail to authenticate in a minute; 0 for any number. */
  readonly failedCallsPerMinute: number;
  /** Files are read again after this time, and calls that are under way are checked again. */
  readonly reloadMs: number;
}

const RELOAD_MS = 5000;
const DEFAULT_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];
const DEFAULT_CALLS_PER_SECOND = 100;
const DEFAULT_OPEN_CALLS = 200;
const DEFAULT_FAILED_CALLS_PER_MINUTE = 60;

/** Whether calls need a token or a certificate. */
export function isAuthenticated({ identitiesFile, oidc }: AccessSettings): boolean {
  return identitiesFile !== undefined || oidc !== undefined;
}

export function accessSettings(reader: EnvironmentReader): AccessSettings {
  const settings = {
    identitiesFile: reader.optional(ACCESS_VARIABLES.identities),
    oidc: oidcSettings(reader),
    limits: undefined,
    failedCallsPerMinute: reader.integer(
      'IP_DIFFUSION_FAILED_CALLS_PER_MINUTE',
      DEFAULT_FAILED_CALLS_PER_MINUTE,
      0,
    ),
    reloadMs: RELOAD_MS,
  };
  return { ...settings, limits: limitsOf(reader, isAuthenticated(settings)) };
}

/** Without authentication there are none unless one is set: all local callers have one address. */
function limitsOf({ integer, optional }: EnvironmentReader, authenticated: boolean): CallLimits | undefined {
  const [rate, open] = ['IP_DIFFUSION_CALLS_PER_SECOND', 'IP_DIFFUSION_OPEN_CALLS'] as const;
  const limits = {
    callsPerSecond: integer(rate, DEFAULT_CALLS_PER_SECOND),
    openCalls: integer(open, DEFAULT_OPEN_CALLS),
  };
  return authenticated || [rate, open].some((name) => optional(name) !== undefined) ? limits : undefined;
}

function oidcSettings(reader: EnvironmentReader): OidcSettings | undefined {
  const { optional, text, list, integer, refuse } = reader;
  const issuer = optional(ACCESS_VARIABLES.oidcIssuer);
  const audience = optional(ACCESS_VARIABLES.oidcAudience);
  const jwksUrl = optional('IP_DIFFUSION_OIDC_JWKS_URL');
  const algorithms = list('IP_DIFFUSION_OIDC_ALGORITHMS', ',') ?? DEFAULT_ALGORITHMS;
  const clockSkewSeconds = integer('IP_DIFFUSION_OIDC_CLOCK_SKEW_SECONDS', 30, 0);
  if (issuer === undefined) return undefined;
  const safe = 'an address with https://';
  if (!isSafeUrl(issuer)) refuse(ACCESS_VARIABLES.oidcIssuer, safe, issuer);
  if (jwksUrl !== undefined && !isSafeUrl(jwksUrl)) refuse('IP_DIFFUSION_OIDC_JWKS_URL', safe, jwksUrl);
  if (audience === undefined)
    refuse(ACCESS_VARIABLES.oidcAudience, 'the audience that tokens are made for', audience);
  const known: readonly string[] = ALGORITHMS;
  if (algorithms.length === 0 || !algorithms.every((each) => known.includes(each)))
    refuse('IP_DIFFUSION_OIDC_ALGORITHMS', `some of ${ALGORITHMS.join(',')}`, algorithms);
  if (clockSkewSeconds > MAX_CLOCK_SKEW_SECONDS) {
    const wanted = `an integer from 0 to ${MAX_CLOCK_SKEW_SECONDS}`;
    refuse('IP_DIFFUSION_OIDC_CLOCK_SKEW_SECONDS', wanted, clockSkewSeconds);
  }
  return {
    ...{ issuer, audience: audience ?? '', jwksUrl, algorithms, clockSkewSeconds },
    rolesClaim: text('IP_DIFFUSION_OIDC_ROLES_CLAIM', 'roles'),
    tenantClaim: text('IP_DIFFUSION_OIDC_TENANT_CLAIM', 'tenant'),
  };
}
