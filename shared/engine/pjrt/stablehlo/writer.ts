/** Writes operations of StableHLO as text, each with the shape of its result. Source: openxla/stablehlo docs/spec.md. */
import { sizeOf } from '../../compiled/graph.js';
import type { ConstantValues, Dtype } from '../../compiled/graph.js';

export type HloDtype = Exclude<Dtype, 'resource'> | 'uint32' | 'int64' | 'uint64';

/** A value of the program. */
export interface Hlo {
  /** Such as `%3` or `%arg0`. */
  readonly name: string;
  readonly dtype: HloDtype;
  readonly shape: readonly number[];
}

const TYPES = {
  float32: 'f32',
  bfloat16: 'bf16',
  int32: 'i32',
  uint8: 'ui8',
  bool: 'i1',
  uint32: 'ui32',
  int64: 'i64',
  uint64: 'ui64',
} as const satisfies Record<HloDtype, string>;

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

type Comparison = 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE';
type Reduction = 'add' | 'maximum' | 'minimum' | 'multiply' | 'and' | 'or';

export type Writer = ReturnType<typeof createWriter>;

export interface WriterOptions {
  /** Whether products of float32 may be of TF32, on devices that have it. */
  readonly tf32: boolean;
}

/** The type of a value. */
export function typeOf({ dtype, shape }: Pick<Hlo, 'dtype' | 'shape'>): string {
  return `tensor<${[...shape, TYPES[dtype]].join('x')}>`;
}

export function createWriter({ tf32 }: WriterOptions) {
  const lines: string[] = [];
  let count = 0;

  const hlo = (name: string, dtype: HloDtype, shape: readonly number[]): Hlo => ({ name, dtype, shape });

  /** A line whose result has a name of its own; `text` follows the equals sign. */
  function write(dtype: HloDtype, shape: readonly number[], text: string): Hlo {
    const value = hlo(`%${count++}`, dtype, shape);
    lines.push(`${value.name} = ${text}`);
    return value;
  }

  /** Operands, and the type from them to the result. */
  function written(
    op: string,
    operands: readonly Hlo[],
    attributes: string,
    result: Pick<Hlo, 'dtype' | 'shape'>,
  ): Hlo {
    const names = operands.map(({ name }) => name).join(', ');
    const types = operands.map(typeOf).join(', ');
    const comma = attributes === '' ? '' : ', ';
    return write(
      result.dtype,
      result.shape,
      `stablehlo.${op} ${names}${comma}${attributes} : (${types}) -> ${typeOf(result)}`,
    );
  }

  const list = (values: readonly (number | string)[]): string => `[${values.join(', ')}]`;

  /** A constant of every element's value, little-endian. */
  function constant(dtype: HloDtype, shape: readonly number[], values: ConstantValues | BigUint64Array): Hlo {
    // Of bool, text would pack the elements into bits.
    if (dtype === 'bool') return compare('NE', constant('uint8', shape, values), scalar('uint8', 0));
    const type = typeOf({ dtype, shape });
    if (sizeOf(shape) === 0) return write(dtype, shape, `stablehlo.constant dense<> : ${type}`);
    const [first] = values;
    const uniform = values.every((value: number | bigint) => Object.is(value, first));
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const width = values.BYTES_PER_ELEMENT;
    // One element is written as a number: the highest byte first.
    const text = uniform
      ? dtype === 'float32'
        ? `0x${hex(Buffer.from(bytes.subarray(0, width)).reverse())}`
        : String(first)
      : `"0x${hex(bytes)}"`;
    return write(dtype, shape, `stablehlo.constant dense<${text}> : ${type}`);
  }

  function scalar(dtype: HloDtype, value: number | bigint): Hlo {
    const values =
      dtype === 'float32'
        ? Float32Array.of(Number(value))
        : dtype === 'uint64'
          ? BigUint64Array.of(BigInt(value))
          : Int32Array.of(Number(value));
    if (dtype === 'bfloat16') return convert(scalar('float32', value), dtype);
    return constant(dtype, [], values);
  }

  function unary(op: string, x: Hlo): Hlo {
    return write(x.dtype, x.shape, `stablehlo.${op} ${x.name} : ${typeOf(x)}`);
  }

  function convert(x: Hlo, dtype: HloDtype): Hlo {
    return x.dtype === dtype ? x : written('convert', [x], '', { dtype, shape: x.shape });
  }

  function bitcast(x: Hlo, dtype: HloDtype, shape: readonly number[] = x.shape): Hlo {
    return written('bitcast_convert', [x], '', { dtype, shape });
  }

  /** NumPy's broadcasting to a shape. */
  function broadcast(x: Hlo, shape: readonly number[]): Hlo {
    if (x.shape.join() === shape.join()) return x;
    const first = shape.length - x.shape.length;
    const dims = x.shape.map((_, axis) => axis + first);
    return written('broadcast_in_dim', [x], `dims = ${list(dims)}`, { dtype: x.dtype, shape });
  }

  function together(a: Hlo, b: Hlo): [Hlo, Hlo] {
    const rank = Math.max(a.shape.length, b.shape.length);
    const shape = Array.from({ length: rank }, (_, i) => {
      const [m, n] = [a.shape.at(i - rank) ?? 1, b.shape.at(i - rank) ?? 1];
      return m === 1 ? n : m;
    });
    return [broadcast(a, shape), broadcast(b, shape)];
  }

  /** An operation on two values, which are broadcast. */
  function binary(op: string, left: Hlo, right: Hlo): Hlo {
    const [a, b] = together(left, right);
    return write(a.dtype, a.shape, `stablehlo.${op} ${a.name}, ${b.name} : ${typeOf(a)}`);
  }

  function compare(direction: Comparison, left: Hlo, right: Hlo): Hlo {
    const [a, b] = together(left, right);
    const kind = ['float32', 'bfloat16'].includes(a.dtype)
      ? 'FLOAT'
      : a.dtype === 'int32'
        ? 'SIGNED'
        : 'UNSIGNED';
    const result = { dtype: 'bool', shape: a.shape } as const;
    const types = `(${typeOf(a)}, ${typeOf(b)}) -> ${typeOf(result)}`;
    return write('bool', a.shape, `stablehlo.compare ${direction}, ${a.name}, ${b.name}, ${kind} : ${types}`);
  }

  function select(condition: Hlo, whereTrue: Hlo, whereFalse: Hlo): Hlo {
    const [t] = together(whereTrue, whereFalse);
    const [c, a] = condition.shape.length === 0 ? [condition, t] : together(condition, t);
    const [x, y] = [broadcast(whereTrue, a.shape), broadcast(whereFalse, a.shape)];
    const text = `stablehlo.select ${c.name}, ${x.name}, ${y.name} : ${typeOf(c)}, ${typeOf(x)}`;
    return write(x.dtype, x.shape, text);
  }

  function reshape(x: Hlo, shape: readonly number[]): Hlo {
    return x.shape.join() === shape.join() ? x : written('reshape', [x], '', { dtype: x.dtype, shape });
  }

  function transpose(x: Hlo, order: readonly number[]): Hlo {
    const shape = order.map((axis) => x.shape[axis] ?? 0);
    return written('transpose', [x], `dims = ${list(order)}`, { dtype: x.dtype, shape });
  }

  function reverse(x: Hlo, axes: readonly number[]): Hlo {
    return write(x.dtype, x.shape, `stablehlo.reverse ${x.name}, dims = ${list(axes)} : ${typeOf(x)}`);
  }

  function slice(x: Hlo, begin: readonly number[], size: readonly number[]): Hlo {
    const ranges = size.map((length, axis) => `${begin[axis] ?? 0}:${(begin[axis] ?? 0) + length}`);
    const result = { dtype: x.dtype, shape: size };
    return write(
      x.dtype,
      size,
      `stablehlo.slice ${x.name} ${list(ranges)} : (${typeOf(x)}) -> ${typeOf(result)}`,
    );
  }

  function concatenate(parts: readonly Hlo[], axis: number): Hlo {
    const [first] = parts;
    if (first === undefined) throw new Error('wanted something to concatenate');
    if (parts.length === 1) return first;
    const length = parts.reduce((sum, { shape }) => sum + (shape[axis] ?? 0), 0);
    const shape = first.shape.map((each, i) => (i === axis ? length : each));
    return written('concatenate', parts, `dim = ${axis}`, { dtype: first.dtype, shape });
  }

  /** @param interior Between any two elements of an axis. */
  function pad(
    x: Hlo,
    value: Hlo,
    low: readonly number[],
    high: readonly number[],
    interior: readonly number[] = x.shape.map(() => 0),
  ): Hlo {
    const shape = x.shape.map(
      (length, i) => length + (low[i] ?? 0) + (high[i] ?? 0) + Math.max(length - 1, 0) * (interior[i] ?? 0),
    );
    const attributes = `low = ${list(low)}, high = ${list(high)}, interior = ${list(interior)}`;
    return written('pad', [x, value], attributes, { dtype: x.dtype, shape });
  }

  function iota(dtype: HloDtype, shape: readonly number[], axis: number): Hlo {
    return write(dtype, shape, `stablehlo.iota dim = ${axis} : ${typeOf({ dtype, shape })}`);
  }

  /** Without the axes that it is over. */
  function reduce(op: Reduction, x: Hlo, axes: readonly number[]): Hlo {
    if (axes.length === 0) return x;
    const start = reductionStart(op, x.dtype);
    const shape = x.shape.filter((_, axis) => !axes.includes(axis));
    const types = `(${typeOf(x)}, ${typeOf(start)}) -> ${typeOf({ dtype: x.dtype, shape })}`;
    const text = `stablehlo.reduce(${x.name} init: ${start.name}) applies stablehlo.${op} across dimensions = ${list(axes)}`;
    return write(x.dtype, shape, `${text} : ${types}`);
  }

  function reductionStart(op: Reduction, dtype: HloDtype): Hlo {
    if (dtype === 'bool') return compare('EQ', scalar('int32', op === 'and' ? 1 : 0), scalar('int32', 1));
    const isFloat = dtype === 'float32';
    const [least, most] = isFloat ? [-Infinity, Infinity] : [-(2 ** 31), 2 ** 31 - 1];
    return scalar(dtype, { add: 0, multiply: 1, maximum: least, minimum: most, and: 1, or: 0 }[op]);
  }

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

  /** Slices of one axis, by an index each: x's axes before it, the indices' axes, x's axes after it. Indices are clamped. */
  function gather(x: Hlo, indices: Hlo, axis: number): Hlo {
    const rank = indices.shape.length;
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    const offsets = x.shape.flatMap((_, i) => (i < axis ? [i] : i > axis ? [i + rank - 1] : []));
    const sizes = x.shape.map((length, i) => (i === axis ? 1 : length));
    const numbers = [
      ...(offsets.length > 0 ? [`offset_dims = ${list(offsets)}`] : []),
      `collapsed_slice_dims = [${axis}]`,
      `start_index_map = [${axis}]`,
      `index_vector_dim = ${rank}`,
    ].join(', ');
    const types = `(${typeOf(x)}, ${typeOf(indices)}) -> ${typeOf({ dtype: x.dtype, shape })}`;
    const attributes = `dimension_numbers = #stablehlo.gather<${numbers}>, slice_sizes = array<i64: ${sizes.join(', ')}>`;
    return write(
      x.dtype,
      shape,
      `"stablehlo.gather"(${x.name}, ${indices.name}) <{${attributes}}> : ${types}`,
    );
  }

  /** So many words of the Philox generator with 4 words a block and 10 rounds. @param state uint64 [3]: key, counter. */
  function philox(state: Hlo, words: number): Hlo {
    const result = { dtype: 'uint32', shape: [words] } as const;
    const value = hlo(`%${count + 1}`, 'uint32', [words]);
    const text = `stablehlo.rng_bit_generator ${state.name}, algorithm = PHILOX : (${typeOf(state)}) -> (${typeOf(state)}, ${typeOf(result)})`;
    lines.push(`%${count}, ${value.name} = ${text}`);
    count += 2;
    return value;
  }

  /** x, not before the other values have been computed. */
  function after(x: Hlo, awaited: readonly Hlo[]): Hlo {
    const all = [x, ...awaited];
    const name = `%${count++}`;
    const names = all.map((each) => each.name).join(', ');
    lines.push(
      `${name}:${all.length} = stablehlo.optimization_barrier ${names} : ${all.map(typeOf).join(', ')}`,
    );
    return hlo(`${name}#0`, x.dtype, x.shape);
  }

  /** The error function. */
  function erf(x: Hlo): Hlo {
    return write(x.dtype, x.shape, `chlo.erf ${x.name} : ${typeOf(x)} -> ${typeOf(x)}`);
  }

  return {
    ...{ lines, constant, scalar, unary, convert, bitcast, broadcast, binary, compare, select, reshape },
    ...{ transpose, reverse, slice, concatenate, pad, iota, reduce, reduceWindow, selectAndScatter },
    ...{ dot, convolution, gather, philox, after, erf },
  };
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}
