/** Nodes that are written down as they are, for graphs whose shapes and types the tables of operations don't have. */
import { AttrValue, DataType, GraphDef, NodeDef, Tensor } from '../generated/api.js';

/** An attribute in the form of its type: `type` is TensorFlow's number of a type of values. */
export type RawAttribute =
  | { readonly type: DataType }
  | { readonly bool: boolean }
  | { readonly int: number }
  | { readonly integers: readonly number[] };

export interface RawNode {
  readonly name: string;
  /** TensorFlow's name of the operation. */
  readonly op: string;
  /** Each `<node>` or `<node>:<index>`. */
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, RawAttribute>>;
}

/** The serialised GraphDef. Behind the bytes of another one, it adds its nodes to that one's. */
export function rawGraph(nodes: readonly RawNode[]): Uint8Array {
  return GraphDef.encode(
    GraphDef.fromPartial({
      node: nodes.map(({ name, op, inputs, attributes }) => {
        const attr = Object.entries(attributes).map(([key, value]) => [key, attrValue(value)] as const);
        return NodeDef.fromPartial({ name, op, input: [...inputs], attr: Object.fromEntries(attr) });
      }),
    }),
  ).finish();
}

/** An input that takes an array of any shape. */
export function placeholder(name: string, type: DataType): RawNode {
  return { name, op: 'Placeholder', inputs: [], attributes: { dtype: { type } } };
}

/** A constant vector of int32. */
export function integers(name: string, values: readonly number[]): RawNode {
  return {
    ...{ name, op: 'Const', inputs: [] },
    attributes: { dtype: { type: DataType.DT_INT32 }, value: { integers: values } },
  };
}

function attrValue(attribute: RawAttribute): AttrValue {
  if ('type' in attribute) return { value: { $case: 'type', value: attribute.type } };
  if ('bool' in attribute) return { value: { $case: 'b', value: attribute.bool } };
  if ('int' in attribute) return { value: { $case: 'i', value: BigInt(attribute.int) } };
  const value = Tensor.fromPartial({
    dtype: DataType.DT_INT32,
    tensorShape: { dim: [{ size: BigInt(attribute.integers.length), name: '' }], unknownRank: false },
    tensorContent: Buffer.from(Int32Array.from(attribute.integers).buffer),
  });
  return { value: { $case: 'tensor', value } };
}
