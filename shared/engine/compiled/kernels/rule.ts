/** What a kernel's rule is: from a call of a tfjs kernel to nodes. */
import type { Builder } from '../builder.js';
import { sizeOf } from '../graph.js';
import type { Value } from '../graph.js';

export interface KernelCall {
  readonly graph: Builder;
  /** Under tfjs's names; those of a kernel over a list under '0', '1', ... */
  readonly inputs: Readonly<Record<string, Value>>;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Appends what computes the kernel and gives its outputs. */
export type KernelRule = (call: KernelCall) => Value | readonly Value[];

export type KernelRules = Readonly<Record<string, KernelRule>>;

/** An input that the kernel can't do without. */
export function taken({ inputs }: KernelCall, name: string): Value {
  const value = inputs[name];
  if (value === undefined) throw new Error(`wanted an input ${name}; got ${Object.keys(inputs).join(', ')}`);
  return value;
}

/** The inputs of a kernel over a list. */
export function listed({ inputs }: KernelCall): Value[] {
  return Object.values(inputs);
}

/** An attribute of tfjs's; its kernels state the types, and don't export them for use here. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- an assertion, spelt once
export function attribute<T>({ attributes }: KernelCall, name: string): T {
  return attributes[name] as T;
}

/** Axes as tfjs passes them: one, several, or nothing for all. */
export function axesOf(axes: number | readonly number[] | null | undefined, rank: number): number[] {
  const all = axes ?? Array.from({ length: rank }, (_, axis) => axis);
  return [all].flat().map((axis) => (axis < 0 ? axis + rank : axis));
}

export function reshaped(graph: Builder, x: Value, shape: readonly number[]): Value {
  return x.shape.join() === shape.join() ? x : graph.one('Reshape', [x, graph.integers(shape)]);
}

/** A shape with at most one -1, made whole. */
export function wholeShape(shape: readonly number[], size: number): number[] {
  const known = sizeOf(shape.filter((length) => length !== -1));
  return shape.map((length) => (length === -1 ? size / known : length));
}
