/** A module's function as a TensorFlow SavedModel: its graph with the variables' values in it, in TensorFlow's own operations. */
import { DiffusionError } from '../foundation/index.js';
import { passed, withoutIdle, withoutRepeats, withoutUnused } from './compiled/passes.js';
import { dataType, emitGraph } from './compiled/emit.js';
import { functionGraph } from './compiled/function-graph.js';
import { lowered } from './compiled/lowering.js';
import { parseRef, sizeOf } from './compiled/graph.js';
import type { Node, Value } from './compiled/graph.js';
import { found } from './check-call.js';
import { GraphDef, MetaGraphDef, SavedModel } from './generated/api.js';
import type { TensorInfo } from './generated/api.js';
import type { EngineModule, VariableSpec } from './module.js';

/** What protobuf, and so TensorFlow, reads at most of one message. */
const MAX_BYTES = 2 ** 31 - 1;

// Field numbers of repeated MetaGraphDef SavedModel.meta_graphs and of GraphDef MetaGraphDef.graph_def, as tags.
const META_GRAPHS = 0x12;
const GRAPH_DEF = 0x12;

/**
 * The bytes of `saved_model.pb`, in pieces to be written one after another. Its signature `serving_default` has the
 * function's inputs and outputs under their own names. The native library isn't needed.
 *
 * @param values Gives a variable's value, asked for one by one.
 * @throws DiffusionError INVALID_ARGUMENT for an unknown function, INVALID_ARGUMENT for values of a wrong size,
 * RESOURCE_EXHAUSTED (reason SAVED_MODEL_TOO_LARGE) beyond the 2 GiB that TensorFlow reads, UNIMPLEMENTED for a function that
 * has updates.
 * Source: tensorflow/core/protobuf/saved_model.proto, meta_graph.proto.
 */
export function savedModel(
  module: EngineModule,
  name: string,
  values: (variable: string) => Float32Array,
): Uint8Array[] {
  const called = found(module.functions[name], 'function', name);
  const traced = functionGraph(name, called, module.variables);
  if (traced.update !== undefined)
    throw new DiffusionError('ENGINE_KERNEL', `${name} has updates, which a frozen graph can't hold`);
  const { inputs, outputs } = traced;
  const ends = [...Object.values(inputs), ...Object.values(outputs)].map(({ ref }) => parseRef(ref).node);
  const graph = passed(lowered(traced.graph, 'tensorflow'), new Set(ends), [
    withoutIdle,
    withoutRepeats,
    withoutUnused,
  ]);

  const specs = new Map(module.variables.map((spec) => [`${name}/variables/${spec.name}`, spec]));
  const frozen = new Set<string>(specs.keys());
  const constants: Uint8Array[] = [];
  for (const node of graph.values()) {
    if (node.op !== 'ReadVariableOp') continue;
    const spec = found(specs.get(parseRef(node.inputs[0] ?? '').node), 'variable', node.name);
    frozen.add(node.name);
    constants.push(emitGraph(new Map([[node.name, constantNode(node, spec, values(spec.name))]])));
  }
  const rest = GraphDef.decode(emitGraph(graph));
  const operations = GraphDef.encode({
    ...rest,
    node: rest.node.filter((node) => !frozen.has(node.name)),
  }).finish();
  // A GraphDef's bytes behind those of another are its nodes behind the other's.
  return framed([operations, ...constants], {
    inputs: mapValues(inputs, tensorInfo),
    outputs: mapValues(outputs, tensorInfo),
  });
}

function constantNode({ name }: Node, { name: variable, shape }: VariableSpec, values: Float32Array): Node {
  const elements = sizeOf(shape);
  if (values.length !== elements) {
    const text = `variable ${variable}: wanted ${elements} values; got ${values.length}`;
    throw new DiffusionError('SAVED_MODEL_INVALID', text);
  }
  const output = { dtype: 'float32', shape } as const;
  return {
    ...{ name, op: 'Const', inputs: [], controlInputs: [], outputs: [output] },
    attributes: { dtype: { dtype: 'float32' }, value: { constant: { ...output, values } } },
  };
}

function framed(
  graph: readonly Uint8Array[],
  ends: Record<'inputs' | 'outputs', Record<string, TensorInfo>>,
): Uint8Array[] {
  const head = MetaGraphDef.encode(
    MetaGraphDef.fromPartial({
      metaInfoDef: { metaGraphVersion: '', tags: ['serve'] },
      signatureDef: { serving_default: { ...ends, methodName: 'tensorflow/serving/predict' } },
    }),
  ).finish();
  const graphPieces = [lengthPrefix(GRAPH_DEF, graph), ...graph];
  const metaGraph = [head, ...graphPieces];
  const version = SavedModel.encode(SavedModel.fromPartial({ savedModelSchemaVersion: 1n })).finish();
  const pieces = [version, lengthPrefix(META_GRAPHS, metaGraph), ...metaGraph];
  const bytes = byteLengthOf(pieces);
  if (bytes <= MAX_BYTES) return pieces;
  const text = `a SavedModel: wanted at most ${MAX_BYTES} bytes, the largest that TensorFlow reads; got ${bytes}`;
  throw new DiffusionError('SAVED_MODEL_TOO_LARGE', text);
}

/** A field's tag, and its length as protobuf's varint. */
function lengthPrefix(tag: number, pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = [tag];
  let length = byteLengthOf(pieces);
  for (; length >= 128; length = Math.floor(length / 128)) bytes.push((length % 128) | 128);
  return Uint8Array.from([...bytes, length]);
}

function byteLengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

function tensorInfo({ ref, dtype, shape }: Value): TensorInfo {
  return {
    encoding: { $case: 'name', value: ref },
    dtype: dataType(dtype) as TensorInfo['dtype'],
    tensorShape: { dim: shape.map((size) => ({ size: BigInt(size), name: '' })), unknownRank: false },
  };
}

function mapValues<A, B>(of: Readonly<Record<string, A>>, convert: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(of).map(([key, value]) => [key, convert(value)]));
}
