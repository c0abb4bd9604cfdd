/** A pass: convolutions and matrix products over bfloat16, with everything around them in float32. */
import { valueOf } from './graph.js';
import type { Graph, Node, Output } from './graph.js';

/** Each product, and what of it is done in bfloat16: a bias is added afterwards, in float32. */
const PRODUCTS: Readonly<Record<string, string>> = {
  Conv2D: 'Conv2D',
  _FusedConv2D: 'Conv2D',
  Conv2DBackpropInput: 'Conv2DBackpropInput',
  Conv2DBackpropFilter: 'Conv2DBackpropFilter',
  MatMul: 'MatMul',
  _FusedMatMul: 'MatMul',
  BatchMatMulV2: 'BatchMatMulV2',
};

/** Kernels that convert by themselves. */
const CONVERTING = new Set(['NativeAttention', 'NativeAttentionGradient']);

const OF_FUSED_ONES = new Set(['fused_ops', 'num_args', 'TArgs']);

/**
 * Puts casts around each product: its float32 inputs are rounded, and its result, which TensorFlow sums in float32 and
 * rounds, is float32 again. Casts of one tensor repeat; `withoutRepeats` leaves one of them.
 */
export function withBfloat16(graph: Graph): Graph {
  const result = new Map<string, Node>();
  const put = (node: Node): string => {
    result.set(node.name, node);
    return `${node.name}:0`;
  };
  for (const [name, node] of graph) {
    const [output] = node.outputs;
    const op = PRODUCTS[node.op];
    if (CONVERTING.has(node.op)) {
      put({ ...node, attributes: { ...node.attributes, low_precision: { bool: true } } });
      continue;
    }
    if (op === undefined || output?.dtype !== 'float32') {
      put(node);
      continue;
    }
    const biased = node.op !== op;
    const inputs = (biased ? node.inputs.slice(0, -1) : node.inputs).map((ref, i) => {
      const { dtype, shape } = valueOf(result, ref);
      return dtype === 'float32' ? put(cast(`${name}/input${i}`, ref, { dtype: 'bfloat16', shape })) : ref;
    });
    const product = put({
      ...node,
      name: `${name}/bfloat16`,
      op,
      inputs,
      attributes: Object.fromEntries(
        Object.entries(node.attributes).filter(([key]) => !OF_FUSED_ONES.has(key)),
      ),
      outputs: [{ ...output, dtype: 'bfloat16' }],
    });
    const bias = node.inputs.at(-1);
    if (!biased || bias === undefined) put(cast(name, product, output));
    else {
      const whole = put(cast(`${name}/float32`, product, output));
      put({ name, op: 'AddV2', inputs: [whole, bias], controlInputs: [], attributes: {}, outputs: [output] });
    }
  }
  return result;
}

function cast(name: string, input: string, output: Output): Node {
  const attributes = { DstT: { dtype: output.dtype } };
  return { name, op: 'Cast', inputs: [input], controlInputs: [], attributes, outputs: [output] };
}
