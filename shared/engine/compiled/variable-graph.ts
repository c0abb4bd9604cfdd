/** The graph that holds a module's variables: their start as zeros, their assignment, their reading. */
import type { VariableSpec } from '../module.js';
import { createBuilder } from './builder.js';
import { placeholder, readVariable, runNothing, storeVariable, variableHandle } from './function-graph.js';
import { parseRef } from './graph.js';
import type { Graph, Value } from './graph.js';

export interface VariableAccess {
  readonly spec: VariableSpec;
  readonly read: Value;
  /** Takes the value that `assign` stores. */
  readonly value: Value;
  /** The node that stores it. */
  readonly assign: string;
}

export interface VariableGraph {
  readonly graph: Graph;
  readonly variables: ReadonlyMap<string, VariableAccess>;
  /** The node that fills every variable with the value of `zero`. */
  readonly initialise: string;
  readonly zero: Value;
}

export function variableGraph(specs: readonly VariableSpec[]): VariableGraph {
  const builder = createBuilder('module/');
  // Fed, not constant: TensorFlow would compute the zeros beforehand and keep a copy of every variable for ever.
  const zero = placeholder(builder, 'zero', { shape: [], dtype: 'float32' });
  const zeros: string[] = [];
  const variables = new Map(
    specs.map((spec) => {
      const { name, shape } = spec;
      const handle = variableHandle(builder, spec);
      // With an input of its own, or TensorFlow would make one tensor for all variables of a shape, and what is done to
      // one of them in place would be done to all.
      const options = { controlInputs: [parseRef(handle.ref).node] };
      const filled = builder.one('Fill', [builder.integers(shape), zero], {}, options);
      zeros.push(storeVariable(builder, `zeros/${name}`, [handle, filled]));
      const value = placeholder(builder, `values/${name}`, { shape, dtype: 'float32' });
      const assign = storeVariable(builder, `assign/${name}`, [handle, value]);
      return [name, { spec, read: readVariable(builder, handle), value, assign }];
    }),
  );
  return { graph: builder.graph, variables, zero, initialise: runNothing(builder, 'initialise', zeros) };
}
