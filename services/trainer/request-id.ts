/** Ids by which a repeated request finds what the first one did. */

import { createHash } from 'node:crypto';

import { canonicalJson } from '../../shared/checkpoint/index.js';
import { violation, type FieldViolation } from '../../shared/foundation/index.js';

export function requestIdViolations(requestId: string): FieldViolation[] {
  if (/^[\x20-\x7e]{0,64}$/.test(requestId)) return [];
  return [violation('request_id', 'up to 64 printable ASCII characters', requestId)];
}

/** In hexadecimal. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Of what a request asks, in hexadecimal. */
export function bodySha256(body: object): string {
  return sha256(canonicalJson(body));
}
