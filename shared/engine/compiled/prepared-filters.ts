/**
 * A pass: convolutions and matrix products with filters that are the same in every run, by this project's own kernels.
 * What these make of a filter first is a node of its own, which can be hoisted. And they compute a pixel the same beside
 * any others, where TensorFlow's, on processors without AVX-512, have other sums at the ends of what a thread takes.
 */
import type { EnginePrecision } from '../module.js';
import { parseRef, sizeOf, valueOf } from './graph.js';
import type { Attributes, Graph, Node } from './graph.js';
import type { Invariants } from './hoisting.js';
import { isAll } from './native-convolutions.js';
import { factorAttributes } from './native-kernels.js';
import type { NativeKernels } from './native-kernels.js';
import { operation } from './operations/index.js';
import { boolAttribute, intsAttribute } from './operations/operation.js';

/** What takes a node's place: what prepares its filter, and what convolves with one that is prepared. */
interface Prepared {
  readonly preparation: string;
  readonly preparationAttributes: Attributes;
  readonly op: string;
  readonly attributes: Attributes;
}

/**
 * Elsewhere than with invariant filters, what is made of them is kept inside of the convolution: the prepared filters
 * of a whole network would be in memory at once.
 */
export function withPreparedFilters(
  graph: Graph,
  invariant: Invariants,
  kernels: NativeKernels,
  precision: EnginePrecision,
): Graph {
  return new Map(
    [...graph].flatMap(([name, node]) => {
      const [x = '', filter = '', ...bias] = node.inputs;
      const prepared = invariant.has(parseRef(filter).node)
        ? preparedOf(graph, node, kernels, precision)
        : undefined;
      if (prepared === undefined) return [[name, node] as const];
      const { preparation, preparationAttributes: own, op, attributes } = prepared;
      const preparing = {
        ...{ name: `${name}/filter`, op: preparation, inputs: [filter], controlInputs: [], attributes: own },
        outputs: operation(preparation).infer([valueOf(graph, filter)], own),
      };
      const convolving = { ...node, op, inputs: [x, `${preparing.name}:0`, ...bias], attributes };
      return [preparing, convolving].map((each) => [each.name, each] as const);
    }),
  );
}

function preparedOf(
  graph: Graph,
  node: Node,
  kernels: NativeKernels,
  precision: EnginePrecision,
): Prepared | undefined {
  const [x, filter] = node.inputs.slice(0, 2).map((ref) => valueOf(graph, ref));
  if (x === undefined || filter === undefined || x.dtype !== 'float32') return undefined;
  const depth = sizeOf(filter.shape.slice(0, -1));
  const factors = factorAttributes(kernels, precision, depth);
  const packed = (biased: boolean, geometry: Geometry | undefined): Prepared | undefined =>
    geometry && {
      preparation: 'NativePackedFilter',
      preparationAttributes: factors,
      op: biased ? 'NativeBiasedPackedConvolution' : 'NativePackedConvolution',
      attributes: {
        ...factors,
        window: { ints: geometry.window },
        padding: { ints: geometry.padding },
        stride: { int: geometry.stride },
        out: { int: filter.shape.at(-1) ?? 0 },
      },
    };
  switch (node.op) {
    case 'NativeConv3x3':
    case 'NativeBiasedConv3x3': {
      // In tiles more is multiplied than Winograd's algorithm saves.
      if (precision === 'bfloat16' && kernels.isInTiles(depth)) {
        return packed(node.op === 'NativeBiasedConv3x3', { window: [3, 3], padding: [2, 2], stride: 1 });
      }
      const [, height = 0, width = 0] = x.shape;
      const op = node.op.replace('Conv3x3', 'TransformedConv3x3');
      const preparationAttributes = { ...node.attributes, image: { ints: [height, width] } };
      return {
        preparation: 'NativeTransformedFilter',
        preparationAttributes,
        op,
        attributes: node.attributes,
      };
    }
    case 'Conv2D':
    case '_FusedConv2D':
      return packed(node.op === '_FusedConv2D', convolutionGeometry(node, x.shape, filter.shape));
    case 'MatMul':
    case '_FusedMatMul':
      return packed(node.op === '_FusedMatMul', productGeometry(node));
    default:
      return undefined;
  }
}

interface Geometry {
  readonly window: readonly number[];
  /** Rows and columns of zeros around an image, on both sides together. */
  readonly padding: readonly number[];
  readonly stride: number;
}

function convolutionGeometry(
  node: Node,
  xShape: readonly number[],
  filterShape: readonly number[],
): Geometry | undefined {
  const [, stride = 1, stepRight] = intsAttribute(node.attributes, 'strides');
  if (stepRight !== stride || !isAll(node, 'dilations', 1)) return undefined;
  const window = filterShape.slice(0, 2);
  const padding = window.map((length, i) => {
    const [before = 0, after = 0] = [xShape[i + 1], node.outputs[0]?.shape[i + 1]];
    return Math.max((after - 1) * stride + length - before, 0);
  });
  return { window, padding, stride };
}

function productGeometry({ attributes }: Node): Geometry | undefined {
  const turned = ['transpose_a', 'transpose_b'].some((name) => boolAttribute(attributes, name));
  return turned ? undefined : { window: [1, 1], padding: [0, 0], stride: 1 };
}
