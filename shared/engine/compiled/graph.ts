/** A TensorFlow graph as plain data. */

export type Dtype = 'float32' | 'bfloat16' | 'int32' | 'uint8' | 'bool' | 'resource';

/** What a node gives out. A resource's shape is that of the variable behind it. */
export interface Output {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export type ConstantValues = Float32Array | Int32Array | Uint8Array;

export interface Constant extends Output {
  /** Row-major, one for each element; bool as 0 and 1. */
  readonly values: ConstantValues;
}

/** An attribute as TensorFlow knows it; the types and counts that follow from a node's inputs are left out. */
export type Attribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly dtype: Dtype }
  | { readonly dtypes: readonly Dtype[] }
  | { readonly shape: readonly number[] }
  | { readonly constant: Constant };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  readonly name: string;
  /** TensorFlow's name of the operation. */
  readonly op: string;
  /** Each `<node>:<index of its output>`. */
  readonly inputs: readonly string[];
  /** Nodes that must have run before this one. */
  readonly controlInputs: readonly string[];
  readonly attributes: Attributes;
  readonly outputs: readonly Output[];
}

/** Nodes by name, each after all that it takes. */
export type Graph = ReadonlyMap<string, Node>;

/** One output of a node, as what is built on it needs it. */
export interface Value extends Output {
  /** `<node>:<index>`. */
  readonly ref: string;
  /** Known where the node is a constant. */
  readonly constant?: Constant;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

export const describeOutput = ({ dtype, shape }: Output): string => `${dtype}[${shape.join(',')}]`;

export const sameOutput = (a: Output, b: Output): boolean => describeOutput(a) === describeOutput(b);

/** The node and the index that an input `<node>:<index>` names. */
export function parseRef(ref: string): { readonly node: string; readonly index: number } {
  const colon = ref.lastIndexOf(':');
  return { node: ref.slice(0, colon), index: Number(ref.slice(colon + 1)) };
}

/** The graph with something before all its nodes' names. */
export function withPrefix(graph: Graph, prefix: string): Graph {
  const renamed = (name: string): string => `${prefix}${name}`;
  return new Map(
    Array.from(graph.values(), (node) => [
      renamed(node.name),
      {
        ...node,
        name: renamed(node.name),
        inputs: node.inputs.map(renamed),
        controlInputs: node.controlInputs.map(renamed),
      },
    ]),
  );
}

/** The output that an input names. @throws Error where the graph has none of that name. */
export function valueOf(graph: Graph, ref: string): Value {
  const { node: name, index } = parseRef(ref);
  const node = graph.get(name);
  const output = node?.outputs[index];
  if (node === undefined || output === undefined) throw new Error(`there is no output ${ref}`);
  return valueOfOutput(node, index, output);
}

/** All outputs of a node. */
export function valuesOf(node: Node): Value[] {
  return node.outputs.map((output, index) => valueOfOutput(node, index, output));
}

function valueOfOutput({ name, attributes }: Node, index: number, output: Output): Value {
  const held = attributes['value'];
  const ref = `${name}:${index}`;
  return held !== undefined && 'constant' in held
    ? { ...output, ref, constant: held.constant }
    : { ...output, ref };
}
