/** Appends nodes to a graph; each new node's shapes come from its operation's rule. */
import type { Builder, NodeOptions } from './graph-builder.js';
import { describeOutput, valuesOf } from './graph.js';
import type { Attributes, Constant, Node, Output, Value } from './graph.js';
import { operation } from './operations/index.js';

export type { Builder } from './graph-builder.js';

/** @param prefix Stands before every name, so that graphs of several functions can be in one session. */
export function createBuilder(prefix: string): Builder {
  const graph = new Map<string, Node>();
  const constants = new Map<string, Value>();

  function add(
    op: string,
    inputs: readonly Value[],
    attributes: Attributes = {},
    { name = `${op}_${graph.size}`, controlInputs = [] }: NodeOptions = {},
  ): Value[] {
    const node = {
      name: `${prefix}${name}`,
      op,
      inputs: inputs.map(({ ref }) => ref),
      controlInputs,
      attributes,
    };
    const finished = { ...node, outputs: outputsOf(node, inputs) };
    if (graph.has(node.name)) throw new Error(`there are two nodes named ${node.name}`);
    graph.set(node.name, finished);
    return valuesOf(finished);
  }

  function one(...args: Parameters<Builder['add']>): Value {
    const [value, ...others] = add(...args);
    if (value === undefined || others.length > 0) throw new Error(`${args[0]}: wanted one output`);
    return value;
  }

  function constant(wanted: Constant): Value {
    const key = constantKey(wanted);
    const known = constants.get(key);
    if (known !== undefined) return known;
    const made = one('Const', [], { dtype: { dtype: wanted.dtype }, value: { constant: wanted } });
    constants.set(key, made);
    return made;
  }

  return {
    graph,
    prefix,
    add,
    one,
    constant,
    integers: (values) =>
      typeof values === 'number'
        ? constant({ dtype: 'int32', shape: [], values: Int32Array.of(values) })
        : constant({ dtype: 'int32', shape: [values.length], values: Int32Array.from(values) }),
    float: (value) => constant({ dtype: 'float32', shape: [], values: Float32Array.of(value) }),
  };
}

/**
 * The outputs that an operation's rule gives for inputs.
 * @throws Error naming the node, its operation and its inputs where they don't fit.
 */
export function outputsOf(
  { name, op, attributes }: Pick<Node, 'name' | 'op' | 'attributes'>,
  inputs: readonly Value[],
): readonly Output[] {
  try {
    return operation(op).infer(inputs, attributes);
  } catch (cause) {
    const given = inputs.map((input) => `${input.ref} ${describeOutput(input)}`).join(', ');
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`node ${name}, ${op}(${given}): ${why}`, { cause });
  }
}

/** Equal for equal constants. */
export function constantKey({ dtype, shape, values }: Constant): string {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return `${dtype}[${shape.join(',')}]${bytes.toString('latin1')}`;
}
