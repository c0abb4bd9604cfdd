/** All passes over a function's graph: the general ones, then those for this machine, the precision and fixed variables. */
import type { EngineModule } from '../module.js';
import { withBfloat16 } from './bfloat16.js';
import type { Graph } from './graph.js';
import { hoisted, invariants } from './hoisting.js';
import type { Hoisted } from './hoisting.js';
import { withNativeConvolutions } from './native-convolutions.js';
import { nativeKernels } from './native-kernels.js';
import { passed, withoutRepeats, withoutUnused } from './passes.js';
import { withPreparedFilters } from './prepared-filters.js';

/** @param readPrefix What stands before the names of the nodes that read what was hoisted. */
export function finished(
  graph: Graph,
  kept: ReadonlySet<string>,
  { precision = 'float32', variables }: Pick<EngineModule, 'precision' | 'variables'>,
  readPrefix: string,
): Hoisted {
  const fixed = new Set(variables.flatMap((variable) => (variable.fixed === true ? [variable.name] : [])));
  const kernels = nativeKernels();
  let result = passed(graph, kept);
  if (kernels !== undefined) {
    result = withNativeConvolutions(result, kernels, precision);
    result = withPreparedFilters(result, invariants(result, kept, fixed), precision);
  }
  if (precision === 'bfloat16') result = passed(withBfloat16(result), kept, [withoutRepeats, withoutUnused]);
  return hoisted(result, kept, invariants(result, kept, fixed), readPrefix);
}
