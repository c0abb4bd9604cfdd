/** What a rule is: from a node of a graph to operations of StableHLO. */
import { integerOf, integersOf } from '../../compiled/operations/operation.js';
import type { Attributes, Output, Value } from '../../compiled/graph.js';
import type { Hlo, Writer } from './writer.js';

export interface NodeCall {
  readonly hlo: Writer;
  readonly attributes: Attributes;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Output[];
  /** An input as a value of the program; negative from the end. @throws Error where the node has none. */
  x(index: number): Hlo;
}

/** Writes what computes a node, and gives its outputs. */
export type Rule = (call: NodeCall) => Hlo | readonly Hlo[];
export type Rules = Readonly<Record<string, Rule>>;

/** The numbers of an input that is an int32 constant. */
export function numbers({ inputs }: NodeCall, index: number): number[] {
  return integersOf(inputs.at(index) as Value);
}

export function number({ inputs }: NodeCall, index: number): number {
  return integerOf(inputs.at(index) as Value);
}

/** The shape of the first output. */
export function resultShape({ outputs }: NodeCall): readonly number[] {
  return outputs[0]?.shape ?? [];
}
