/** Certificates for tests, made when they are needed. */

import { randomBytes, webcrypto } from 'node:crypto';

import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  type JsonGeneralName,
  type X509Certificate,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

export interface Pair {
  /** In PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Pair {
  /** A certificate signed by this authority. */
  issue(name: string, options?: IssueOptions): Promise<Pair>;
}

interface IssueOptions {
  readonly names?: readonly JsonGeneralName[];
  readonly expired?: boolean;
}

const LOCAL: readonly JsonGeneralName[] = [
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
];

export async function authority(name = 'test authority'): Promise<Authority> {
  const keys = await newKeys();
  const own = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(8).toString('hex'),
    name: `CN=${name}`,
    keys,
    ...validity(false),
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(true, 1, true)],
  });
  return {
    ...(await pair(own, keys)),
    async issue(subject, { names = LOCAL, expired = false } = {}) {
      const ownKeys = await newKeys();
      const certificate = await X509CertificateGenerator.create({
        serialNumber: randomBytes(8).toString('hex'),
        subject: `CN=${subject}`,
        issuer: own.subject,
        publicKey: ownKeys.publicKey,
        signingKey: keys.privateKey,
        ...validity(expired),
        signingAlgorithm: ALGORITHM,
        extensions: [
          new SubjectAlternativeNameExtension([...names]),
          await AuthorityKeyIdentifierExtension.create(own),
        ],
      });
      return pair(certificate, ownKeys);
    },
  };
}

function validity(expired: boolean): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return {
    notBefore: new Date(now - 2 * HOUR_MS),
    notAfter: new Date(expired ? now - HOUR_MS : now + HOUR_MS),
  };
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pair(certificate: X509Certificate, { privateKey }: webcrypto.CryptoKeyPair): Promise<Pair> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  const lines = pkcs8.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  };
}
