/** Values of a program of StableHLO, and the lines that make them. Source: openxla/stablehlo docs/spec.md. */
import type { Dtype } from '../../compiled/graph.js';

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

/** The type of a value. */
export function typeOf({ dtype, shape }: Pick<Hlo, 'dtype' | 'shape'>): string {
  return `tensor<${[...shape, TYPES[dtype]].join('x')}>`;
}

/** In a program for several devices: the name of their row, and of its one axis, by which the rows of a batch are divided. */
export const MESH = 'devices';
export const ROWS = 'rows';

/** As StableHLO writes a list. */
export const list = (values: readonly (number | string)[]): string => `[${values.join(', ')}]`;

export interface Lines {
  /** What has been written. */
  readonly text: readonly string[];
  /** A line whose result has a name of its own; `text` follows the equals sign. */
  write(dtype: HloDtype, shape: readonly number[], text: string): Hlo;
  /** An operation with its operands, and the type from them to the result. */
  written(
    op: string,
    operands: readonly Hlo[],
    attributes: string,
    result: Pick<Hlo, 'dtype' | 'shape'>,
  ): Hlo;
  /** A line with several results. */
  writeSeveral(results: readonly Pick<Hlo, 'dtype' | 'shape'>[], text: string): Hlo[];
}

export function createLines(): Lines {
  const text: string[] = [];
  let count = 0;

  function write(dtype: HloDtype, shape: readonly number[], line: string): Hlo {
    const name = `%${count++}`;
    text.push(`${name} = ${line}`);
    return { name, dtype, shape };
  }

  function written(
    op: string,
    operands: readonly Hlo[],
    attributes: string,
    result: Pick<Hlo, 'dtype' | 'shape'>,
  ): Hlo {
    const names = operands.map(({ name }) => name).join(', ');
    const types = operands.map(typeOf).join(', ');
    const comma = attributes === '' ? '' : ', ';
    const line = `stablehlo.${op} ${names}${comma}${attributes} : (${types}) -> ${typeOf(result)}`;
    return write(result.dtype, result.shape, line);
  }

  function writeSeveral(results: readonly Pick<Hlo, 'dtype' | 'shape'>[], line: string): Hlo[] {
    const name = `%${count++}`;
    text.push(`${name}:${results.length} = ${line}`);
    return results.map(({ dtype, shape }, i) => ({ name: `${name}#${i}`, dtype, shape }));
  }

  return { text, write, written, writeSeveral };
}
