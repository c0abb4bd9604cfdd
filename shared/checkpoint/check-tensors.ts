/** Decoded tensors against what the recipe's network expects: the exact set, exact shapes, finite values. */

import { DiffusionError, describeValue } from '../foundation/index.js';
import { indexOfNonFinite } from './tensor-data.js';
import type { TensorData } from './tensor-data.js';

/** At most this many faults stand in one message. */
const SHOWN = 5;

/**
 * Refuses a set of tensors that is not exactly the expected one, by name and shape.
 *
 * @throws DATA_LOSS (reason TENSORS_MISMATCH), naming the tensors, what was wanted and what came.
 */
export function checkTensors(
  tensors: ReadonlyMap<string, TensorData>,
  expected: ReadonlyMap<string, readonly number[]>,
): void {
  const faults: string[] = [];
  for (const [name, shape] of expected) {
    const got = tensors.get(name)?.shape;
    if (shapeText(got) !== shapeText(shape)) faults.push(mismatch(name, shape, got));
  }
  for (const [name, { shape }] of tensors) {
    if (!expected.has(name)) faults.push(mismatch(name, undefined, shape));
  }
  refuse(faults, 'TENSORS_MISMATCH');
}

/**
 * Refuses tensors that hold NaN or an infinity.
 *
 * @throws DATA_LOSS (reason NOT_FINITE), naming each tensor, the element and its value.
 */
export function checkFinite(tensors: ReadonlyMap<string, TensorData>): void {
  const faults: string[] = [];
  for (const [name, tensor] of tensors) {
    const index = indexOfNonFinite(tensor);
    if (index === -1) continue;
    faults.push(
      `tensor ${describeValue(name)}[${index}]: wanted a finite value; got ${String(tensor.data[index])}`,
    );
  }
  refuse(faults, 'NOT_FINITE');
}

function mismatch(
  name: string,
  wanted: readonly number[] | undefined,
  got: readonly number[] | undefined,
): string {
  return `tensor ${describeValue(name)}: wanted ${shapeText(wanted)}; got ${shapeText(got)}`;
}

function shapeText(shape: readonly number[] | undefined): string {
  return shape === undefined ? 'none' : `[${shape.join(', ')}]`;
}

function refuse(faults: readonly string[], reason: 'TENSORS_MISMATCH' | 'NOT_FINITE'): void {
  if (faults.length === 0) return;
  const more = faults.length > SHOWN ? `; and ${faults.length - SHOWN} more` : '';
  throw new DiffusionError(reason, faults.slice(0, SHOWN).join('; ') + more);
}
