/** From a graph to TensorFlow's GraphDef, through generated protobuf code. */
import { AttrValue, AttrValue_ListValue, DataType, GraphDef, NodeDef, Tensor } from '../generated/api.js';
import { valueOf } from './graph.js';
import type { Attribute, Constant, Dtype, Graph, Node } from './graph.js';
import { operation } from './operations/index.js';

const DATA_TYPES = {
  float32: DataType.DT_FLOAT,
  bfloat16: DataType.DT_BFLOAT16,
  int32: DataType.DT_INT32,
  uint8: DataType.DT_UINT8,
  bool: DataType.DT_BOOL,
  // DT_RESOURCE, which this copy of TensorFlow's protos lacks.
  resource: 20 as DataType,
} as const satisfies Record<Dtype, DataType>;

const VALUE_FIELDS = {
  float32: 'floatVal',
  // Only ever made by a cast.
  bfloat16: 'floatVal',
  int32: 'intVal',
  uint8: 'intVal',
  bool: 'boolVal',
  resource: 'intVal',
} as const satisfies Record<Dtype, keyof Tensor>;

/** The version of GraphDef whose rules the nodes keep. Source: tensorflow/core/public/version.h. */
const PRODUCER = 1882;

/** TensorFlow's number for a type. */
export function dataType(dtype: Dtype): number {
  return DATA_TYPES[dtype];
}

/** The serialised GraphDef. */
export function emitGraph(graph: Graph): Uint8Array {
  const node = Array.from(graph.values(), (each) => nodeDef(graph, each));
  return GraphDef.encode(GraphDef.fromPartial({ node, versions: { producer: PRODUCER } })).finish();
}

function nodeDef(graph: Graph, node: Node): NodeDef {
  const { name, op, inputs, controlInputs, attributes } = node;
  return {
    name,
    op,
    input: [...inputs.map((ref) => ref.replace(/:0$/, '')), ...controlInputs.map((control) => `^${control}`)],
    device: '',
    attr: {
      ...impliedAttributes(graph, node),
      ...Object.fromEntries(
        Object.entries(attributes).map(([key, attribute]) => [key, attrValue(attribute)]),
      ),
    },
  };
}

function impliedAttributes(graph: Graph, { op, inputs }: Node): Record<string, AttrValue> {
  const { types, count } = operation(op);
  const implied = Object.entries(types).map(([name, index]) => {
    const { dtype } = valueOf(graph, inputs.at(index) ?? '');
    return [name, attrValue({ dtype })] as const;
  });
  if (count !== undefined) implied.push([count.attribute, attrValue({ int: inputs.length - count.besides })]);
  return Object.fromEntries(implied);
}

function attrValue(attribute: Attribute): AttrValue {
  if ('int' in attribute) return { value: { $case: 'i', value: BigInt(attribute.int) } };
  if ('ints' in attribute) return listValue({ i: attribute.ints.map(BigInt) });
  if ('texts' in attribute) return listValue({ s: attribute.texts.map((text) => Buffer.from(text)) });
  if ('float' in attribute) return { value: { $case: 'f', value: attribute.float } };
  if ('bool' in attribute) return { value: { $case: 'b', value: attribute.bool } };
  if ('text' in attribute) return { value: { $case: 's', value: Buffer.from(attribute.text) } };
  if ('dtype' in attribute) return { value: { $case: 'type', value: DATA_TYPES[attribute.dtype] } };
  if ('dtypes' in attribute) return listValue({ type: attribute.dtypes.map((dtype) => DATA_TYPES[dtype]) });
  if ('shape' in attribute) return { value: { $case: 'shape', value: tensorShape(attribute.shape) } };
  return { value: { $case: 'tensor', value: tensor(attribute.constant) } };
}

function listValue(list: Partial<AttrValue_ListValue>): AttrValue {
  return { value: { $case: 'list', value: AttrValue_ListValue.fromPartial(list) } };
}

function tensorShape(shape: readonly number[]) {
  return { dim: shape.map((size) => ({ size: BigInt(size), name: '' })), unknownRank: false };
}

function tensor({ dtype, shape, values }: Constant): Tensor {
  const [first] = values;
  // Where all elements are the same, one stands for all.
  const uniform = first !== undefined && values.every((value) => Object.is(value, first));
  const { buffer, byteOffset, byteLength } = values;
  const content = uniform
    ? { [VALUE_FIELDS[dtype]]: [dtype === 'bool' ? first !== 0 : first] }
    : { tensorContent: Buffer.from(buffer, byteOffset, byteLength) };
  return Tensor.fromPartial({ dtype: DATA_TYPES[dtype], tensorShape: tensorShape(shape), ...content });
}
