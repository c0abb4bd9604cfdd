/** Writes operations over windows of images, and matrix products. */
import type { ElementWriter } from './element-writer.js';
import { list, typeOf } from './lines.js';
import type { Hlo, HloDtype, Lines } from './lines.js';

export interface ConvolutionWindow {
  readonly stride?: readonly number[];
  /** Before and after each of the two axes; negative ones cut. */
  readonly pad: readonly (readonly [number, number])[];
  readonly lhsDilate?: readonly number[];
  readonly rhsDilate?: readonly number[];
  /** As StableHLO writes them: `[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]`. */
  readonly dims: string;
  readonly groups?: number;
  readonly shape: readonly number[];
}

export interface WindowOptions {
  /** Whether products of float32 may be of TF32, on devices that have it. */
  readonly tf32: boolean;
}

export function windowWriter(
  { write, written }: Lines,
  { scalar, reductionStart }: ElementWriter,
  { tf32 }: WindowOptions,
) {
  /** A reduction over windows of all axes. */
  function reduceWindow(
    op: 'add' | 'maximum',
    x: Hlo,
    window: readonly number[],
    stride: readonly number[],
    padding: readonly (readonly [number, number])[],
  ): Hlo {
    const start = reductionStart(op, x.dtype);
    const shape = x.shape.map((length, axis) => {
      const [low, high] = padding[axis] ?? [0, 0];
      return Math.floor((length + low + high - (window[axis] ?? 1)) / (stride[axis] ?? 1)) + 1;
    });
    const result = { dtype: x.dtype, shape };
    const attributes = [
      `window_dimensions = array<i64: ${window.join(', ')}>`,
      `window_strides = array<i64: ${stride.join(', ')}>`,
      `padding = dense<${JSON.stringify(padding)}> : tensor<${padding.length}x2xi64>`,
    ].join(', ');
    const types = `(${typeOf(x)}, ${typeOf(start)}) -> ${typeOf(result)}`;
    const text = `"stablehlo.reduce_window"(${x.name}, ${start.name}) <{${attributes}}> (${region(op, x.dtype)}) : ${types}`;
    return write(x.dtype, shape, text);
  }

  /** A region of two scalars. */
  function region(op: string, dtype: HloDtype): string {
    const type = typeOf({ dtype, shape: [] });
    return `{ ^bb0(%a: ${type}, %b: ${type}): %r = stablehlo.${op} %a, %b : ${type} stablehlo.return %r : ${type} }`;
  }

  /** Each window's gradient at the place of its largest element. */
  function selectAndScatter(
    x: Hlo,
    source: Hlo,
    window: readonly number[],
    stride: readonly number[],
    padding: readonly (readonly [number, number])[],
  ): Hlo {
    const start = scalar(x.dtype, 0);
    const type = typeOf({ dtype: x.dtype, shape: [] });
    const larger = `{ ^bb0(%a: ${type}, %b: ${type}): %r = stablehlo.compare GE, %a, %b, FLOAT : (${type}, ${type}) -> tensor<i1> stablehlo.return %r : tensor<i1> }`;
    const attributes = [
      `window_dimensions = array<i64: ${window.join(', ')}>`,
      `window_strides = array<i64: ${stride.join(', ')}>`,
      `padding = dense<${JSON.stringify(padding)}> : tensor<${padding.length}x2xi64>`,
    ].join(', ');
    const types = `(${typeOf(x)}, ${typeOf(source)}, ${typeOf(start)}) -> ${typeOf(x)}`;
    const operands = [x, source, start].map(({ name }) => name).join(', ');
    const text = `"stablehlo.select_and_scatter"(${operands}) <{${attributes}}> (${larger}, ${region('add', x.dtype)}) : ${types}`;
    return write(x.dtype, x.shape, text);
  }

  const precise = tf32 ? 'DEFAULT' : 'HIGHEST';
  const precisionOf = ({ dtype }: Hlo): string => (dtype === 'float32' ? precise : 'DEFAULT');

  /** A product summed over axes of both; its axes are the batch's, what is left of a, what is left of b. */
  function dot(
    a: Hlo,
    b: Hlo,
    batch: readonly (readonly [number, number])[],
    summed: readonly (readonly [number, number])[],
  ): Hlo {
    const pairs = [...batch, ...summed];
    const left = (x: Hlo, side: 0 | 1): number[] =>
      x.shape.filter((_, axis) => !pairs.some((pair) => pair[side] === axis));
    const shape = [...batch.map(([axis]) => a.shape[axis] ?? 0), ...left(a, 0), ...left(b, 1)];
    const across = (axes: readonly (readonly [number, number])[]): string =>
      `${list(axes.map(([axis]) => axis))} x ${list(axes.map(([, axis]) => axis))}`;
    const batching = batch.length === 0 ? '' : `batching_dims = ${across(batch)}, `;
    const precision = precisionOf(a);
    const attributes = `${batching}contracting_dims = ${across(summed)}, precision = [${precision}, ${precision}]`;
    return written('dot_general', [a, b], attributes, { dtype: a.dtype, shape });
  }

  function convolution(x: Hlo, filter: Hlo, window: ConvolutionWindow): Hlo {
    const { stride = [1, 1], pad: padding, lhsDilate, rhsDilate, dims, groups = 1, shape } = window;
    const parts = [
      `stride = ${list(stride)}`,
      `pad = ${list(padding.map(list))}`,
      ...(lhsDilate ? [`lhs_dilate = ${list(lhsDilate)}`] : []),
      ...(rhsDilate ? [`rhs_dilate = ${list(rhsDilate)}`] : []),
    ];
    const precision = `#stablehlo<precision ${precisionOf(x)}>`;
    const attributes = `batch_group_count = 1 : i64, feature_group_count = ${groups} : i64, precision_config = [${precision}, ${precision}]`;
    const result = { dtype: x.dtype, shape };
    const types = `(${typeOf(x)}, ${typeOf(filter)}) -> ${typeOf(result)}`;
    const text = `stablehlo.convolution(${x.name}, ${filter.name}) dim_numbers = ${dims}, window = {${parts.join(', ')}} {${attributes}}`;
    return write(x.dtype, shape, `${text} : ${types}`);
  }

  return { reduceWindow, selectAndScatter, dot, convolution };
}
