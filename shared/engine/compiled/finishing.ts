/** All passes over a function's graph, in their order. */
import type { EngineModule } from '../module.js';
import { withBfloat16 } from './bfloat16.js';
import type { Graph } from './graph.js';
import { hoisted, invariants } from './hoisting.js';
import type { Hoisted } from './hoisting.js';
import { lowered } from './lowering.js';
import { withNativeConvolutions } from './native-convolutions.js';
import { nativeKernels } from './native-kernels.js';
import { passed, withoutRepeats, withoutUnused } from './passes.js';
import { withPreparedFilters } from './prepared-filters.js';
import { withUpdatesInPlace } from './updates-in-place.js';

/**
 * Lowering, the general passes, then those for this machine's kernels and for the precision, then hoisting.
 *
 * @param readPrefix What stands before the names of the nodes that read what was hoisted.
 */
export function finished(
  graph: Graph,
  kept: ReadonlySet<string>,
  module: Pick<EngineModule, 'precision' | 'variables'>,
  readPrefix: string,
): Hoisted {
  const result = unhoisted(graph, kept, module);
  return hoisted(result, kept, invariants(result, kept, fixedNames(module)), readPrefix);
}

/** All passes but the last. */
export function unhoisted(
  graph: Graph,
  kept: ReadonlySet<string>,
  module: Pick<EngineModule, 'precision' | 'variables'>,
): Graph {
  const { precision = 'float32' } = module;
  const kernels = nativeKernels();
  let result = passed(
    kernels ? lowered(withUpdatesInPlace(graph), kernels) : lowered(graph, 'tensorflow'),
    kept,
  );
  if (kernels !== undefined) {
    result = withNativeConvolutions(result, kernels, precision);
    const invariant = invariants(result, kept, fixedNames(module));
    result = withPreparedFilters(result, invariant, kernels, precision);
  }
  return precision === 'float32'
    ? result
    : passed(withBfloat16(result), kept, [withoutRepeats, withoutUnused]);
}

function fixedNames({ variables }: Pick<EngineModule, 'variables'>): ReadonlySet<string> {
  return new Set(variables.flatMap(({ name, fixed }) => (fixed === true ? [name] : [])));
}
