/** Networks in files of TensorFlow's: a GraphDef whose weights are constants. */
import { DiffusionError, describeValue } from '../foundation/index.js';
import { GraphDef, type NodeDef } from './generated/api.js';
import { parseRef } from './compiled/graph.js';
import type { NativeArray } from './compiled/native-tensor.js';
import { openSession } from './compiled/session.js';
import { loadNative } from './native.js';

export interface FrozenGraph {
  /**
   * Gives each of the wanted outputs, as `<node>:<index>`, where `given` stands for what other outputs would be.
   *
   * @throws DiffusionError FAILED_PRECONDITION (reason GRAPH_INVALID) where TensorFlow can't run it so;
   * RESOURCE_EXHAUSTED (ENGINE_OUT_OF_MEMORY).
   */
  run(
    given: Readonly<Record<string, NativeArray>>,
    wanted: readonly string[],
  ): Promise<readonly NativeArray[]>;
  /** What a node takes, as `<node>:<index>`. */
  inputsOf(node: string): readonly string[];
  /** Frees all; nothing may be running. */
  close(): void;
}

/** Operations that compute and nothing else: a graph from elsewhere could read and write files with others. */
const PURE_OPERATIONS = new Set(
  [
    'Abs Add AddN AddV2 All Any ArgMax ArgMin AvgPool BatchMatMul BatchMatMulV2 BatchNormWithGlobalNormalization BiasAdd',
    'BiasAddV1 BroadcastTo Cast CheckNumerics ClipByValue Concat ConcatV2 Const Conv2D DepthwiseConv2dNative Div',
    'Elu Equal Erf Exp ExpandDims Fill Floor FloorDiv FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather GatherV2',
    'Greater GreaterEqual Identity IdentityN LRN LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot',
    'LogicalOr MatMul Max MaxPool MaxPoolV2 Maximum Mean Min Minimum MirrorPad Mul Neg NoOp OneHot Pack Pad PadV2',
    'Placeholder PlaceholderWithDefault Pow Prod Range Rank RealDiv Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic',
    'ResizeBilinear ResizeNearestNeighbor ReverseV2 Round Rsqrt Select SelectV2 Selu Shape Sigmoid Size Slice Softmax',
    'Softplus Softsign Split SplitV Sqrt Square SquaredDifference Squeeze StopGradient StridedSlice Sub Sum Tanh Tile',
    'TopKV2 Transpose Unpack Where ZerosLike',
  ].flatMap((line) => line.split(' ')),
);

/**
 * @param inputs Outputs, as `<node>:<index>`, that each run gives: what stands before them is never run.
 * @param needed Nodes that must be there.
 * @throws DiffusionError FAILED_PRECONDITION (reason GRAPH_INVALID) for bytes that are no graph, a node that isn't there, or
 * an operation that does more than compute; FAILED_PRECONDITION (ENGINE_START).
 */
export async function openFrozenGraph(
  bytes: Uint8Array,
  inputs: readonly string[],
  needed: readonly string[],
): Promise<FrozenGraph> {
  const nodes = nodesOf(bytes);
  const names = [...inputs.map((ref) => parseRef(ref).node), ...needed];
  const missing = names.filter((name) => !nodes.has(name));
  if (missing.length > 0)
    throw invalid(`wanted nodes ${names.join(', ')}; got none named ${missing.join(', ')}`);
  checkOperations(nodes, inputs, needed);
  // As for linear algebra: the addon keeps the library in the process.
  await loadNative();
  const session = openSession();
  try {
    session.extendBytes(bytes);
  } catch (error) {
    session.close();
    throw asInvalid(error);
  }
  return {
    run: (given, wanted) =>
      session.run(given, wanted, { name: 'a frozen graph', flops: 0 }).catch((error: unknown) => {
        throw asInvalid(error);
      }),
    inputsOf: (name) => dataInputs(nodes.get(name)),
    close: () => {
      session.close();
    },
  };
}

function nodesOf(bytes: Uint8Array): Map<string, NodeDef> {
  let graph: GraphDef;
  try {
    graph = GraphDef.decode(bytes);
  } catch (cause) {
    throw invalid('wanted a GraphDef of TensorFlow; got other bytes', cause);
  }
  // The weights are in the bytes, and need not be held twice.
  return new Map(graph.node.map(({ name, op, input }) => [name, { name, op, input, device: '', attr: {} }]));
}

/** All that the needed nodes are computed from, short of the inputs. */
function checkOperations(
  nodes: ReadonlyMap<string, NodeDef>,
  inputs: readonly string[],
  needed: readonly string[],
): void {
  const given = new Set(inputs.map((ref) => parseRef(ref).node));
  const seen = new Set<string>();
  const open = [...needed];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name) || given.has(name)) continue;
    seen.add(name);
    const node = nodes.get(name);
    if (node === undefined)
      throw invalid(`wanted a node ${describeValue(name)}, which another one takes; got none`);
    if (!PURE_OPERATIONS.has(node.op)) {
      const got = `${describeValue(node.op)} at the node ${describeValue(name)}`;
      throw invalid(`wanted a graph of operations that only compute; got ${got}`);
    }
    open.push(...node.input.map((input) => parseRef(refOf(input.replace(/^\^/, ''))).node));
  }
}

function dataInputs(node: NodeDef | undefined): string[] {
  return (node?.input ?? []).filter((input) => !input.startsWith('^')).map(refOf);
}

const refOf = (input: string): string => (/:\d+$/.test(input) ? input : `${input}:0`);

function asInvalid(error: unknown): unknown {
  if (!(error instanceof DiffusionError) || error.reason !== 'ENGINE_FAILED') return error;
  return invalid(`wanted a graph that TensorFlow runs; got ${error.message}`, error);
}

function invalid(text: string, cause?: unknown): DiffusionError {
  return new DiffusionError('GRAPH_INVALID', `the frozen graph: ${text}`, { cause });
}
