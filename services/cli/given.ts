/** Parts of an answer that the contract promises, but that can be missing on the wire. */

import { DiffusionError } from '../../shared/foundation/index.js';

/** @throws DiffusionError where it is missing. */
export function given<T>(value: T | undefined): T {
  if (value !== undefined) return value;
  throw new DiffusionError('INTERNAL', 'the answer of the service lacks a required part');
}
