/** What the environment says about who may call. */

import { anyText, count, setting, texts, type EnvironmentReader } from '../foundation/index.js';
import type { CallLimits } from './call-limits.js';
import { ALGORITHMS, isSafeUrl, MAX_CLOCK_SKEW_SECONDS, type OidcSettings } from './oidc.js';

const perCaller = 'of each identity, or of each address without authentication';
const unlimited = (limit: number): string =>
  `${limit} with authentication; without, unlimited unless one of the two is set`;
const DEFAULT_CALLS_PER_SECOND = 100;
const DEFAULT_OPEN_CALLS = 200;

export const ACCESS_SETTINGS = {
  identities: setting(
    'IP_DIFFUSION_IDENTITIES_FILE',
    anyText('FILE'),
    'who may call: names, roles, and hashes of tokens',
  ),
  oidcIssuer: setting(
    'IP_DIFFUSION_OIDC_ISSUER',
    anyText('URL'),
    'an OpenID Connect provider whose tokens are taken, exactly as they have it in `iss`',
  ),
  oidcAudience: setting(
    'IP_DIFFUSION_OIDC_AUDIENCE',
    anyText('TEXT'),
    'the audience that its tokens must be made for, exactly as they have it in `aud`',
  ),
  oidcJwksUrl: setting('IP_DIFFUSION_OIDC_JWKS_URL', anyText('URL'), "where the provider's keys are", {
    otherwise: "what the issuer's `/.well-known/openid-configuration` says",
  }),
  oidcAlgorithms: setting(
    'IP_DIFFUSION_OIDC_ALGORITHMS',
    texts('NAME,...'),
    `the algorithms of signatures that are taken, of ${ALGORITHMS.join(', ')}`,
    { fallback: ['RS256', 'ES256', 'EdDSA'] },
  ),
  oidcClockSkewSeconds: setting(
    'IP_DIFFUSION_OIDC_CLOCK_SKEW_SECONDS',
    count(0, MAX_CLOCK_SKEW_SECONDS),
    "how far the provider's clock may be off",
    { fallback: 30, unit: 's' },
  ),
  oidcRolesClaim: setting(
    'IP_DIFFUSION_OIDC_ROLES_CLAIM',
    anyText('NAME'),
    "the claim with a caller's roles",
    {
      fallback: 'roles',
    },
  ),
  oidcTenantClaim: setting(
    'IP_DIFFUSION_OIDC_TENANT_CLAIM',
    anyText('NAME'),
    "the claim with a caller's tenant",
    {
      fallback: 'tenant',
    },
  ),
  callsPerSecond: setting(
    'IP_DIFFUSION_CALLS_PER_SECOND',
    count(),
    `calls a second ${perCaller}; twice as many for a moment`,
    { otherwise: unlimited(DEFAULT_CALLS_PER_SECOND) },
  ),
  openCalls: setting('IP_DIFFUSION_OPEN_CALLS', count(), `calls at once ${perCaller}`, {
    otherwise: unlimited(DEFAULT_OPEN_CALLS),
  }),
  failedCallsPerMinute: setting(
    'IP_DIFFUSION_FAILED_CALLS_PER_MINUTE',
    count(0),
    'calls a minute of each address that may fail to authenticate; 0 for any number',
    { fallback: 60 },
  ),
  credentialsReloadMs: setting(
    'IP_DIFFUSION_CREDENTIALS_RELOAD_MS',
    count(100),
    'certificates, identities, and the tokens of calls that are under way are looked at again after this time',
    { fallback: 5000, unit: 'ms' },
  ),
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

/** Whether calls need a token or a certificate. */
export function isAuthenticated({ identitiesFile, oidc }: AccessSettings): boolean {
  return identitiesFile !== undefined || oidc !== undefined;
}

export function accessSettings(reader: EnvironmentReader): AccessSettings {
  const settings = {
    identitiesFile: reader.value(ACCESS_SETTINGS.identities),
    oidc: oidcSettings(reader),
    limits: undefined,
    failedCallsPerMinute: reader.value(ACCESS_SETTINGS.failedCallsPerMinute),
    reloadMs: reader.value(ACCESS_SETTINGS.credentialsReloadMs),
  };
  return { ...settings, limits: limitsOf(reader, isAuthenticated(settings)) };
}

/** Without authentication there are none unless one is set: all local callers have one address. */
function limitsOf({ value }: EnvironmentReader, authenticated: boolean): CallLimits | undefined {
  const [rate, open] = [value(ACCESS_SETTINGS.callsPerSecond), value(ACCESS_SETTINGS.openCalls)];
  if (!authenticated && rate === undefined && open === undefined) return undefined;
  return { callsPerSecond: rate ?? DEFAULT_CALLS_PER_SECOND, openCalls: open ?? DEFAULT_OPEN_CALLS };
}

function oidcSettings({ value, refuse }: EnvironmentReader): OidcSettings | undefined {
  const issuer = value(ACCESS_SETTINGS.oidcIssuer);
  const audience = value(ACCESS_SETTINGS.oidcAudience);
  const jwksUrl = value(ACCESS_SETTINGS.oidcJwksUrl);
  const algorithms = value(ACCESS_SETTINGS.oidcAlgorithms);
  const clockSkewSeconds = value(ACCESS_SETTINGS.oidcClockSkewSeconds);
  if (issuer === undefined) return undefined;
  const safe = 'an address with https://';
  if (!isSafeUrl(issuer)) refuse(ACCESS_SETTINGS.oidcIssuer, safe, issuer);
  if (jwksUrl !== undefined && !isSafeUrl(jwksUrl)) refuse(ACCESS_SETTINGS.oidcJwksUrl, safe, jwksUrl);
  if (audience === undefined) refuse(ACCESS_SETTINGS.oidcAudience, 'the audience that tokens are made for');
  const known: readonly string[] = ALGORITHMS;
  if (algorithms.length === 0 || !algorithms.every((each) => known.includes(each)))
    refuse(ACCESS_SETTINGS.oidcAlgorithms, `some of ${ALGORITHMS.join(',')}`, algorithms);
  return {
    ...{ issuer, audience: audience ?? '', jwksUrl, algorithms, clockSkewSeconds },
    rolesClaim: value(ACCESS_SETTINGS.oidcRolesClaim),
    tenantClaim: value(ACCESS_SETTINGS.oidcTenantClaim),
  };
}
