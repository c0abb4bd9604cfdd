/** The table of tfjs's kernels that can be traced. */
import { COMPOSITES } from '../../composites/index.js';
import type { Attributes } from '../graph.js';
import { elementwiseKernels } from './elementwise.js';
import { linearKernels } from './linear.js';
import { listed } from './rule.js';
import type { KernelRules } from './rule.js';
import { shapeKernels } from './shapes.js';

/** A composite is a node as it is called. */
const compositeRules: KernelRules = Object.fromEntries(
  Array.from(COMPOSITES.keys(), (op) => [
    op,
    (call) => call.graph.add(op, listed(call), call.attributes as Attributes),
  ]),
);

export const KERNEL_RULES: KernelRules = {
  ...elementwiseKernels,
  ...shapeKernels,
  ...linearKernels,
  ...compositeRules,
};

export type { KernelRule } from './rule.js';
