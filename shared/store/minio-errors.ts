/** What an S3 server's answer, or none, means to a caller of the store. */

import { codeOf, lostCondition, notFound } from './store-errors.js';
import type { StoreFault } from './store-errors.js';

const unavailable = (text: string): StoreFault => ({
  reason: 'STORE_UNAVAILABLE',
  text,
});

const full: StoreFault = {
  reason: 'STORE_FULL',
  text: 'the server is out of space or quota',
};

const denied: StoreFault = {
  reason: 'STORE_ACCESS_DENIED',
  text: 'the server refuses these credentials; check the access key, the secret key and the policy',
};

const byServerCode: ReadonlyMap<string, StoreFault> = new Map([
  ['NoSuchKey', notFound],
  ['NotFound', notFound],
  ['NoSuchUpload', notFound],
  ['PreconditionFailed', lostCondition],
  ['ConditionalRequestConflict', lostCondition],
  ['XMinioStorageFull', full],
  ['XMinioAdminBucketQuotaExceeded', full],
  ['AccessDenied', denied],
  ['InvalidAccessKeyId', denied],
  // Versity's gateway.
  ['XAdminUserNotFound', denied],
  ['SignatureDoesNotMatch', denied],
  [
    'NoSuchBucket',
    {
      reason: 'STORE_BUCKET_MISSING',
      text: 'the bucket does not exist; create it first',
    },
  ],
  [
    'RequestTimeTooSkewed',
    {
      reason: 'STORE_CLOCK_SKEW',
      text: "this machine's clock and the server's are too far apart; set the clocks",
    },
  ],
  [
    'AuthorizationHeaderMalformed',
    { reason: 'STORE_REGION', text: 'the server is in another region; set the region of the store' },
  ],
]);

/** Codes of OpenSSL and Node where the server's certificate, or its speaking TLS at all, is the trouble. */
const TLS_CODE = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_TLS_|^ERR_SSL_|^EPROTO$/;
/** The server looked at the request and will refuse it again. */
const REFUSED =
  /^(Invalid|Malformed|MethodNotAllowed|NotImplemented|EntityTooLarge|KeyTooLong|MovedPermanently|TemporaryRedirect)/;

/** Names what went wrong by the error's code; the client's own texts may hold credentials and are left out. */
export function minioFault(error: unknown): StoreFault {
  const code = codeOf(error);
  const known = byServerCode.get(code);
  if (known !== undefined) return known;
  if (TLS_CODE.test(code)) {
    return {
      reason: 'STORE_TLS',
      text: `no trusted TLS connection to the server (${code})`,
    };
  }
  if (REFUSED.test(code)) {
    return {
      reason: 'STORE_REFUSED',
      text: `the server refuses the request (${code})`,
    };
  }
  return unavailable(`the server does not answer as it should (${code === '' ? 'no code' : code})`);
}
