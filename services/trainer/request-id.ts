/** Ids by which a repeated request finds what the first one did. */

import { createHash } from 'node:crypto';

import { canonicalJson } from '../../shared/checkpoint/index.js';
import { violation, type FieldViolation } from '../../shared/foundation/index.js';

export function requestIdViolations(requestId: string): FieldViolation[] {
  if (/^[\x20-\x7e]{0,64}$/.test(requestId)) return [];
  return [violation('request_id', 'up to 64 printable ASCII characters', requestId)];
}

/**
 * What stands for a request_id in the store, in hexadecimal. Two tenants may use the same one, and neither finds the other's
 * job by it.
 */
export function requestSha256(requestId: string, owner: string | undefined): string {
  // A request_id holds no line break.
  return sha256(owner === undefined ? requestId : `${requestId}\n${owner}`);
}

/** In hexadecimal. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Of what a request asks, in hexadecimal. */
export function bodySha256(body: object): string {
  return sha256(canonicalJson(body));
}
