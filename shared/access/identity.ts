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

/** Whether a caller may see what this tenant owns; undefined for what has no owner. */
export type Sees = (owner: string | undefined) => boolean;

/** What has no owner is seen by everybody. Without authentication, and for admins, nothing is hidden. */
export function seesOf({ identity }: Caller): Sees {
  if (identity === undefined || identity.roles.includes('admin')) return () => true;
  return (owner) => owner === undefined || owner === identity.tenant;
}
