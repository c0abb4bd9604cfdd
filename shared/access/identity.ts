/** Who calls: an identity with its roles and its tenant. */

export const ROLES = ['read', 'sample', 'train', 'admin'] as const;

export type Role = (typeof ROLES)[number];

export interface Identity {
  /** As it stands in logs: a name of the identities file, or `oidc:` and the subject of a token. */
  readonly name: string;
  readonly roles: readonly Role[];
  /** Owns what the identity creates. */
  readonly tenant: string;
}

/** Why nothing says who calls; for the service's log alone. */
export interface Refused {
  readonly refused: string;
}

/** Who makes a call. */
export interface Caller {
  /**
   * For limits and for fairness between callers: the identity's name; `anonymous:` and the peer's address without its
   * port where the service takes calls without authentication.
   */
  readonly caller: string;
  /** Undefined without authentication. */
  readonly identity: Identity | undefined;
}

/** What a caller owns and may see. */
export interface Tenancy {
  /** Of what the caller creates; undefined without authentication. */
  readonly owner: string | undefined;
  /** Whether the caller may see what has this owner; undefined for what has none. */
  readonly sees: (owner: string | undefined) => boolean;
  /** Whether it sees whatever there is. */
  readonly seesAll: boolean;
}

/** Of callers that nothing is hidden from, and who own nothing. */
export const EVERYTHING: Tenancy = { owner: undefined, sees: () => true, seesAll: true };

/** What has no owner is seen by everybody. Without authentication, and for admins, nothing is hidden. */
export function tenancyOf({ identity }: Pick<Caller, 'identity'>): Tenancy {
  if (identity === undefined) return EVERYTHING;
  const { tenant, roles } = identity;
  if (roles.includes('admin')) return { ...EVERYTHING, owner: tenant };
  return { owner: tenant, sees: (owner) => owner === undefined || owner === tenant, seesAll: false };
}
