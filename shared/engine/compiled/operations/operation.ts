/** What is known of a TensorFlow operation, and the pieces that its rules are made of. */
import { describeOutput } from '../graph.js';
import type { Attributes, Output, Value } from '../graph.js';

export interface Operation {
  /** Type attributes that follow from inputs: the attribute's name and the input's index, negative from the end. */
  readonly types: Readonly<Record<string, number>>;
  /** Attributes that count all inputs, or all inputs but the last few. */
  readonly count?: { readonly attribute: string; readonly besides: number };
  /** Reads or changes state, so that two equal nodes aren't one. */
  readonly stateful?: boolean;
  /** A result may lie where an input does: TensorFlow doesn't copy what only has another name, shape or place. */
  readonly sharesMemory?: boolean;
  /** Shapes and types of the outputs. @throws Error saying what was wanted, where the inputs don't fit. */
  infer(inputs: readonly Value[], attributes: Attributes): readonly Output[];
}

export type Operations = Readonly<Record<string, Operation>>;

/** The input at an index. */
export function input(inputs: readonly Value[], index: number): Value {
  const value = inputs.at(index);
  if (value === undefined) throw new Error(`wanted an input ${index}; got ${inputs.length} inputs`);
  return value;
}

export function wantCount(inputs: readonly Value[], count: number): void {
  if (inputs.length !== count) throw new Error(`wanted ${count} inputs; got ${inputs.length}`);
}

export function want(met: boolean, wanted: string, got: Output | string): void {
  if (!met) throw new Error(`wanted ${wanted}; got ${typeof got === 'string' ? got : describeOutput(got)}`);
}

export function wantDtype(value: Output, ...dtypes: readonly Output['dtype'][]): void {
  want(dtypes.includes(value.dtype), dtypes.join(' or '), value);
}

export function wantRank(value: Output, rank: number): void {
  want(value.shape.length === rank, `rank ${rank}`, value);
}

/** The numbers of an int32 input that must be a constant, since a shape follows from them. */
export function integersOf(value: Value): number[] {
  want(value.dtype === 'int32' && value.constant !== undefined, 'an int32 constant', value);
  return Array.from(value.constant?.values ?? []);
}

export function integerOf(value: Value): number {
  const [only, ...others] = integersOf(value);
  if (only === undefined || others.length > 0)
    throw new Error(`wanted one number; got ${describeOutput(value)}`);
  return only;
}

/** NumPy's broadcasting. */
export function broadcast(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, i) => {
    const lengths = shapes.map((shape) => shape.at(i - rank) ?? 1);
    const length = lengths.find((each) => each !== 1) ?? 1;
    const fits = lengths.every((each) => each === 1 || each === length);
    want(fits, 'shapes that broadcast', shapes.map((shape) => `[${shape.join(',')}]`).join(' and '));
    return length;
  });
}

export function axisOf(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank) throw new Error(`wanted an axis of ${rank}; got ${axis}`);
  return positive;
}

export function intAttribute(attributes: Attributes, name: string): number {
  const attribute = attributes[name];
  if (attribute === undefined || !('int' in attribute))
    throw new Error(`wanted an integer attribute ${name}`);
  return attribute.int;
}

export function intsAttribute(attributes: Attributes, name: string): readonly number[] {
  const attribute = attributes[name];
  if (attribute === undefined || !('ints' in attribute))
    throw new Error(`wanted an attribute ${name} of integers`);
  return attribute.ints;
}

export function floatAttribute(attributes: Attributes, name: string): number {
  const attribute = attributes[name];
  if (attribute === undefined || !('float' in attribute))
    throw new Error(`wanted a number attribute ${name}`);
  return attribute.float;
}

export function boolAttribute(attributes: Attributes, name: string): boolean {
  const attribute = attributes[name];
  return attribute !== undefined && 'bool' in attribute && attribute.bool;
}

export function dtypeAttribute(attributes: Attributes, name: string): Output['dtype'] {
  const attribute = attributes[name];
  if (attribute === undefined || !('dtype' in attribute)) throw new Error(`wanted a type attribute ${name}`);
  return attribute.dtype;
}

export function textAttribute(attributes: Attributes, name: string): string {
  const attribute = attributes[name];
  if (attribute === undefined || !('text' in attribute)) throw new Error(`wanted a text attribute ${name}`);
  return attribute.text;
}
