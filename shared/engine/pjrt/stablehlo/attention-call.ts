/**
 * Attention as one call of cuDNN, which keeps no weights of pixel pairs in memory.
 * Source: openxla/xla xla/service/gpu/cublas_cudnn.h (the calls' names) and backend_configs.proto (CudnnfMHABackendConfig).
 */
import { list, typeOf } from './lines.js';
import type { Hlo, HloDtype, Lines } from './lines.js';

/** A result, with its axes from the one that varies fastest in memory. */
interface CallResult {
  readonly dtype: HloDtype;
  readonly shape: readonly number[];
  readonly fastestFirst: readonly number[];
}

/** q, k and v [N, pixels, heads, channels of a head], of bfloat16. */
export type Heads = readonly [q: Hlo, k: Hlo, v: Hlo];

/** Sizes of a head that cuDNN takes on each card since Hopper. */
export const fitsCall = (channels: number): boolean => channels <= 256 && channels % 8 === 0;

/** Which axes of two factors are of the batch, and which is summed over. */
type Product = readonly [batch: readonly [number[], number[]], summed: readonly [number, number]];

const WEIGHTS_BY = [0, 1];
const HEADS_BY = [0, 2];
/** Weights are [N, heads, queries, keys], everything else [N, pixels, heads, channels]. */
const FORWARD: Readonly<Record<string, Product>> = {
  bmm1: [
    [HEADS_BY, HEADS_BY],
    [3, 3],
  ],
  bmm2: [
    [WEIGHTS_BY, HEADS_BY],
    [3, 1],
  ],
};
const BACKWARD: Readonly<Record<string, Product>> = {
  bmm1_grad_gemm1: [
    [WEIGHTS_BY, HEADS_BY],
    [2, 1],
  ],
  bmm1_grad_gemm2: [
    [WEIGHTS_BY, HEADS_BY],
    [3, 1],
  ],
  bmm2_grad_gemm1: [
    [WEIGHTS_BY, HEADS_BY],
    [2, 1],
  ],
  bmm2_grad_gemm2: [
    [HEADS_BY, HEADS_BY],
    [3, 3],
  ],
};

export function attentionCalls({ writeSeveral }: Lines) {
  function call(
    name: string,
    operands: readonly Hlo[],
    results: readonly CallResult[],
    config: object,
  ): Hlo[] {
    const layout = (fastestFirst: readonly number[]): string =>
      `dense<${list(fastestFirst)}> : tensor<${fastestFirst.length}xindex>`;
    const rowMajor = ({ shape }: Hlo): number[] => shape.map((_, i) => shape.length - 1 - i);
    // What cuDNN needs while it computes: XLA sets its size.
    const all: CallResult[] = [...results, { dtype: 'uint8', shape: [0], fastestFirst: [0] }];
    const attributes = [
      `api_version = 2 : i32`,
      `backend_config = ${JSON.stringify(JSON.stringify(config))}`,
      `operand_layouts = ${list(operands.map((operand) => layout(rowMajor(operand))))}`,
      `result_layouts = ${list(all.map(({ fastestFirst }) => layout(fastestFirst)))}`,
    ].join(', ');
    const names = operands.map((operand) => operand.name).join(', ');
    const types = `(${operands.map(typeOf).join(', ')}) -> (${all.map(typeOf).join(', ')})`;
    return writeSeveral(all, `stablehlo.custom_call @${name}(${names}) {${attributes}} : ${types}`);
  }

  /**
   * softmax(q k^T scale) v.
   * @returns Its result [N, heads, pixels, channels of a head], and a number for each row of the softmax, for the gradient.
   */
  function attention([q, k, v]: Heads, scale: number): [mixed: Hlo, statistics: Hlo] {
    const [images = 0, pixels = 0, heads = 0, channels = 0] = q.shape;
    const [mixed, statistics] = call(
      '__cudnn$fmhaSoftmax',
      [q, k, v],
      [
        byHeads([images, heads, pixels, channels]),
        { dtype: 'float32', shape: [images, heads, pixels], fastestFirst: [2, 1, 0] },
      ],
      configOf(q, scale, FORWARD),
    );
    return [mixed as Hlo, statistics as Hlo];
  }

  /**
   * @param mixed What `attention` gave, [N, pixels, heads, channels of a head], and its statistics.
   * @param slope The gradient in it, of its shape and in bfloat16.
   * @returns Those in q, k and v, [N, heads, pixels, channels of a head] each.
   */
  function attentionGradient(
    [q, k, v]: Heads,
    [mixed, statistics]: readonly [Hlo, Hlo],
    slope: Hlo,
    scale: number,
  ): Heads {
    const [images = 0, pixels = 0, heads = 0, channels = 0] = q.shape;
    const result = byHeads([images, heads, pixels, channels]);
    const [dq, dk, dv] = call(
      '__cudnn$fmhaSoftmaxBackward',
      [q, k, v, statistics, slope, mixed],
      [result, result, result],
      configOf(q, scale, BACKWARD),
    );
    return [dq as Hlo, dk as Hlo, dv as Hlo];
  }

  return { attention, attentionGradient };
}

/** [N, heads, pixels, channels], which lie in memory as [N, pixels, heads, channels]. */
const byHeads = (shape: readonly number[]): CallResult => ({
  ...{ dtype: 'bfloat16', shape, fastestFirst: [3, 1, 2, 0] },
});

function configOf({ shape }: Hlo, scale: number, products: Readonly<Record<string, Product>>): object {
  const [images, pixels, heads] = shape.map(String);
  const dimensions = Object.entries(products).map(([name, [[left, right], [a, b]]]) => {
    const numbers = {
      lhs_contracting_dimensions: [String(a)],
      rhs_contracting_dimensions: [String(b)],
      lhs_batch_dimensions: left.map(String),
      rhs_batch_dimensions: right.map(String),
    };
    return [`${name}_dot_dimension_numbers`, numbers] as const;
  });
  return {
    operation_queue_id: '0',
    cudnn_fmha_backend_config: {
      algorithm: {
        ...{ algo_id: '0', math_type: 'TENSOR_OP_MATH', tuning_knobs: { '17': '1', '24': '0' } },
        ...{ is_cudnn_frontend: true, workspace_size: '0' },
      },
      fmha_scale: scale,
      intermediate_tensor_shape: {
        element_type: 'BF16',
        dimensions: [images, heads, pixels, pixels],
        tuple_shapes: [],
        layout: { minor_to_major: ['3', '2', '1', '0'] },
        is_dynamic_dimension: [false, false, false, false],
      },
      ...{ is_flash_attention: true, mask_type: 'NO_MASK', dropout_rate: 0, seed: 42 },
      ...{ sliding_window_length: 0, max_seg_per_batch: 1, is_paged_attention: false },
      ...Object.fromEntries(dimensions),
    },
  };
}
