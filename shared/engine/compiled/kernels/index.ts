/** The table of tfjs's kernels that can be traced. */
import { elementwiseKernels } from './elementwise.js';
import { linearKernels } from './linear.js';
import { nativeKernelRules } from './native.js';
import type { KernelRules } from './rule.js';
import { shapeKernels } from './shapes.js';

export const KERNEL_RULES: KernelRules = {
  ...elementwiseKernels,
  ...shapeKernels,
  ...linearKernels,
  ...nativeKernelRules,
};

export type { KernelRule } from './rule.js';
