/** Parts of an answer that the contract promises, but the wire may leave out. */

import { DiffusionError } from '../../shared/foundation/index.js';

/** @throws DiffusionError where the service left out what it promises. */
export function given<T>(value: T | undefined): T {
  if (value !== undefined) return value;
  throw new DiffusionError('INTERNAL', 'the service left out a part of its answer');
}
