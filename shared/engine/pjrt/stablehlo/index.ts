/** The table of rules: from operations of a graph to StableHLO. */
import { DiffusionError } from '../../../foundation/index.js';
import { COMPOSITES } from '../../composites/index.js';
import { elementwiseRules } from './elementwise.js';
import { linearRules } from './linear.js';
import { randomRules } from './random.js';
import type { Rule, Rules } from './rule.js';
import { shapeRules } from './shapes.js';

const compositeRules: Rules = Object.fromEntries(
  Array.from(COMPOSITES.values()).flatMap(({ op, stablehlo }) => (stablehlo ? [[op, stablehlo]] : [])),
);

export const RULES: Rules = {
  ...elementwiseRules,
  ...shapeRules,
  ...linearRules,
  ...randomRules,
  ...compositeRules,
};

/** @throws DiffusionError UNIMPLEMENTED (ENGINE_KERNEL) where the table lacks it. */
export function ruleOf(op: string): Rule {
  const rule = RULES[op];
  if (rule !== undefined) return rule;
  const text = `operation ${op} has no rule for StableHLO; add one in shared/engine/pjrt/stablehlo`;
  throw new DiffusionError('ENGINE_KERNEL', text, { metadata: { kernel: op } });
}

export { MESH, ROWS } from './lines.js';
export { createWriter, typeOf } from './writer.js';
export type { Hlo } from './writer.js';
