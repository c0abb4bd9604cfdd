/** The file of identities: who may call, proved by a token whose hash it holds or by a client certificate. */

import { createHash, timingSafeEqual } from 'node:crypto';

import { z } from 'zod';

import { ROLES, type Identity } from './identity.js';
import { unusable } from './watched-files.js';

const MAX_IDENTITIES = 1000;
/** So that one token can be exchanged for the next while both are valid. */
const MAX_TOKENS = 8;

const nameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/);

const fileSchema = z.strictObject({
  identities: z
    .array(
      z.strictObject({
        name: nameSchema,
        roles: z.array(z.enum(ROLES)),
        /** The name where it is absent. */
        tenant: nameSchema.optional(),
        /** SHA-256 of each valid token, in hexadecimal. */
        tokenSha256: z
          .array(z.string().regex(/^[0-9a-f]{64}$/))
          .max(MAX_TOKENS)
          .default([]),
        /** Names of client certificates, such as `DNS:alice.example`, `URI:spiffe://a/b` or `CN:alice`. */
        certificates: z.array(z.string().min(4).max(512)).default([]),
      }),
    )
    .max(MAX_IDENTITIES),
});

export interface Identities {
  /** The identity that holds a token. Takes the same time for any token. */
  readonly ofToken: (token: string) => Identity | undefined;
  /** The identity that holds a certificate with one of these names. */
  readonly ofCertificate: (names: readonly string[]) => Identity | undefined;
}

/** @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) naming the places in the file. */
export function parseIdentities(content: Buffer, path: string): Identities {
  const file = fileSchema.safeParse(jsonOf(content, path));
  if (!file.success) {
    const places = file.error.issues.map(({ path: place, code }) => `${place.join('.')} (${code})`);
    throw unusable([path], `wanted a file of identities; wrong are ${places.slice(0, 5).join(', ')}`);
  }
  const { identities } = file.data;
  const byHash = identities.flatMap(({ tokenSha256, ...of }) =>
    tokenSha256.map((hash) => ({ hash: Buffer.from(hash, 'hex'), identity: identityOf(of) })),
  );
  const byCertificate = identities.flatMap(({ certificates, ...of }) =>
    certificates.map((name) => [name, identityOf(of)] as const),
  );
  refuseTwice(
    identities.map(({ name }) => name),
    'name',
    path,
  );
  refuseTwice(
    byHash.map(({ hash }) => hash.toString('hex')),
    'token',
    path,
  );
  refuseTwice(
    byCertificate.map(([name]) => name),
    'certificate',
    path,
  );
  const certificates = new Map(byCertificate);
  return {
    ofToken: (token) => {
      const hash = createHash('sha256').update(token).digest();
      let found: Identity | undefined;
      // Each one is looked at, whichever it is.
      for (const each of byHash) if (timingSafeEqual(each.hash, hash)) found = each.identity;
      return found;
    },
    ofCertificate: (names) => names.map((name) => certificates.get(name)).find((each) => each !== undefined),
  };
}

function identityOf({
  name,
  roles,
  tenant = name,
}: Pick<z.infer<typeof fileSchema>['identities'][number], 'name' | 'roles' | 'tenant'>): Identity {
  return { name, roles, tenant };
}

function jsonOf(content: Buffer, path: string): unknown {
  try {
    return JSON.parse(content.toString('utf8'));
  } catch {
    // The parser's own text shows a part of the file.
    throw unusable([path], 'wanted JSON');
  }
}

function refuseTwice(values: readonly string[], what: string, path: string): void {
  if (new Set(values).size < values.length)
    throw unusable([path], `wanted each ${what} once; one stands there twice`);
}
