/** The table of operations that graphs here may have: TensorFlow's, the engine's own, and composites before they are lowered. */
import { COMPOSITES } from '../../composites/index.js';
import { elementwiseOperations } from './elementwise.js';
import { linearOperations } from './linear.js';
import { nativeOperations } from './native.js';
import type { Operation, Operations } from './operation.js';
import { shapeOperations } from './shapes.js';
import { stateOperations } from './state.js';

const compositeOperations: Operations = Object.fromEntries(
  Array.from(COMPOSITES.values(), ({ op, infer }) => [op, { types: {}, infer }]),
);

export const OPERATIONS: Operations = {
  ...compositeOperations,
  ...elementwiseOperations,
  ...shapeOperations,
  ...linearOperations,
  ...nativeOperations,
  ...stateOperations,
};

/** @throws Error where the table lacks it. */
export function operation(name: string): Operation {
  const found = OPERATIONS[name];
  if (found === undefined)
    throw new Error(`operation ${name} is not in the table of shared/engine/compiled/operations`);
  return found;
}

export type { Operation } from './operation.js';
