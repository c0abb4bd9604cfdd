/** Writes operations on the elements of values, and those that move or reduce them. */
import { sizeOf } from '../../compiled/graph.js';
import type { ConstantValues } from '../../compiled/graph.js';
import { list, MESH, ROWS, typeOf } from './lines.js';
import type { Hlo, HloDtype, Lines } from './lines.js';

type Comparison = 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE';
type Reduction = 'add' | 'maximum' | 'minimum' | 'multiply' | 'and' | 'or';

export type ElementWriter = ReturnType<typeof elementWriter>;

export function elementWriter({ write, written, writeSeveral }: Lines) {
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
    const types = `(${typeOf(state)}) -> (${typeOf(state)}, ${typeOf(result)})`;
    const text = `stablehlo.rng_bit_generator ${state.name}, algorithm = PHILOX : ${types}`;
    const [, bits] = writeSeveral([state, result], text);
    return bits as Hlo;
  }

  /** x, not before the other values have been computed. */
  function after(x: Hlo, awaited: readonly Hlo[]): Hlo {
    const all = [x, ...awaited];
    const names = all.map(({ name }) => name).join(', ');
    const text = `stablehlo.optimization_barrier ${names} : ${all.map(typeOf).join(', ')}`;
    const [same] = writeSeveral(all, text);
    return same as Hlo;
  }

  /** x, whose first axis the compiler divides among the devices. */
  function dividedByRows(x: Hlo): Hlo {
    const axes = x.shape.map((_, axis) => (axis === 0 ? `{"${ROWS}"}` : '{}')).join(', ');
    return write(x.dtype, x.shape, `sdy.sharding_constraint ${x.name} <@${MESH}, [${axes}]> : ${typeOf(x)}`);
  }

  /** The error function. */
  function erf(x: Hlo): Hlo {
    return write(x.dtype, x.shape, `chlo.erf ${x.name} : ${typeOf(x)} -> ${typeOf(x)}`);
  }

  return {
    ...{ constant, scalar, unary, convert, bitcast, broadcast, binary, compare, select, reshape, transpose },
    ...{
      reverse,
      slice,
      concatenate,
      pad,
      iota,
      reduce,
      reductionStart,
      gather,
      philox,
      after,
      erf,
      dividedByRows,
    },
  };
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}
