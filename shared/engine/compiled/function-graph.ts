/** From a function of a module to its graph: inputs, variables, results, and updates after all reads. */
import { checkUpdated } from '../check-call.js';
import type { ModuleFunction, TensorSpec, VariableSpec } from '../module.js';
import { createBuilder } from './builder.js';
import type { Builder } from './builder.js';
import { parseRef } from './graph.js';
import type { Dtype, Graph, Value } from './graph.js';
import { trace } from './tracing.js';
import type { Tracer } from './tracing.js';

export interface FunctionGraph {
  readonly graph: Graph;
  /** Placeholders, by input. */
  readonly inputs: Values;
  readonly outputs: Values;
  /** The node that stores the updates, where there are any. */
  readonly update?: string;
}

type Values = Readonly<Record<string, Value>>;

/**
 * Traces a function once. Its nodes' names start with `<name>/`.
 *
 * Updates are stored when all of them and all outputs have been computed, and only where `commit` isn't 0; so a run
 * sees its variables as they were before, and a run that fails on the way leaves them alone.
 */
export function functionGraph(
  name: string,
  called: ModuleFunction,
  variables: readonly VariableSpec[],
): FunctionGraph {
  const builder = createBuilder(`${name}/`);
  const inputs = mapValues(called.inputs, (spec, input) => placeholder(builder, `inputs/${input}`, spec));
  const handles = Object.fromEntries(
    variables.map((variable) => [variable.name, variableHandle(builder, variable)]),
  );
  const { outputs, updates, commit } = trace(builder, (tracer) =>
    traceBody(builder, tracer, called, inputs, handles, variables),
  );
  const compiled = { graph: builder.graph, inputs, outputs };
  if (Object.keys(updates).length === 0) return compiled;
  const computed = [outputs, updates].flatMap(Object.values<Value>);
  const barrier = runNothing(builder, 'computed', [...new Set(computed.map(nodeOf))]);
  const stored = storeAll(builder, handles, updates, { barrier, commit });
  return { ...compiled, update: runNothing(builder, 'updated', stored) };
}

/** A placeholder of an input's shape and type. */
export function placeholder(builder: Builder, name: string, { shape, dtype }: TensorSpec): Value {
  return builder.one('Placeholder', [], { dtype: { dtype }, shape: { shape } }, { name });
}

/** The variable of that name in the session, whichever graph refers to it. */
export function variableHandle(
  builder: Builder,
  { name, shape }: VariableSpec,
  dtype: Dtype = 'float32',
): Value {
  const attributes = { dtype: { dtype }, shape: { shape }, shared_name: { text: name } };
  return builder.one('VarHandleOp', [], attributes, { name: `variables/${name}` });
}

export function readVariable(builder: Builder, handle: Value, dtype: Dtype = 'float32'): Value {
  return builder.one('ReadVariableOp', [handle], { dtype: { dtype } });
}

/** The name of a node that stores a value. */
export function storeVariable(
  builder: Builder,
  name: string,
  [handle, value]: readonly [Value, Value],
  controlInputs: readonly string[] = [],
): string {
  builder.add('AssignVariableOp', [handle, value], {}, { name, controlInputs });
  return `${builder.prefix}${name}`;
}

/** The name of a node that runs once all others of a list have. */
export function runNothing(builder: Builder, name: string, controlInputs: readonly string[]): string {
  builder.add('NoOp', [], {}, { name, controlInputs });
  return `${builder.prefix}${name}`;
}

interface TracedResult {
  readonly outputs: Values;
  readonly updates: Values;
  readonly commit: Value | undefined;
}

function traceBody(
  builder: Builder,
  { toTensor, toValue }: Tracer,
  called: ModuleFunction,
  inputs: Values,
  handles: Values,
  variables: readonly VariableSpec[],
): TracedResult {
  const read = mapValues(handles, (handle) => readVariable(builder, handle));
  const result = called.body(
    mapValues(inputs, (value) => toTensor(withoutUint8(builder, value))),
    mapValues(read, toTensor),
  );
  checkUpdated(Object.keys(result.updates ?? {}), variables);
  return {
    outputs: mapValues(result.outputs, (tensor, name) =>
      builder.one('Identity', [toValue(tensor)], {}, { name: `outputs/${name}` }),
    ),
    updates: mapValues(result.updates ?? {}, toValue),
    commit: result.commit && toValue(result.commit),
  };
}

/** When updates may be stored, and whether. */
interface Condition {
  /** The node after which they may be. */
  readonly barrier: string;
  /** A scalar: 0 withholds them. */
  readonly commit: Value | undefined;
}

/** The names of the nodes that store updates. */
function storeAll(
  builder: Builder,
  handles: Values,
  updates: Values,
  { barrier, commit }: Condition,
): string[] {
  const committed =
    commit && builder.one('NotEqual', [commit, builder.float(0)], {}, { controlInputs: [barrier] });
  return Object.entries(updates).map(([name, update]) => {
    const value = committed === undefined ? update : builder.add('Switch', [update, committed])[1];
    const after = committed === undefined ? [barrier] : [];
    return storeVariable(builder, `updates/${name}`, [handles[name] as Value, value ?? update], after);
  });
}

// tfjs has no uint8.
function withoutUint8(builder: Builder, value: Value): Value {
  return value.dtype === 'uint8' ? builder.one('Cast', [value], { DstT: { dtype: 'int32' } }) : value;
}

function nodeOf({ ref }: Value): string {
  return parseRef(ref).node;
}

function mapValues<A, B>(
  values: Readonly<Record<string, A>>,
  convert: (value: A, name: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, convert(value, name)]));
}
