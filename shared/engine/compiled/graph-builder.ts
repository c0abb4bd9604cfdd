/** What appends nodes to a graph. */
import type { Attributes, Constant, Graph, Value } from './graph.js';

export interface Builder {
  readonly graph: Graph;
  /** What every node's name starts with. */
  readonly prefix: string;
  /**
   * Appends a node and gives its outputs. @throws Error naming node and inputs where the inputs don't fit.
   *
   * @param name Wanted where others refer to the node by it; otherwise the operation and a number.
   */
  add(op: string, inputs: readonly Value[], attributes?: Attributes, options?: NodeOptions): Value[];
  /** As `add`, for an operation with one output. */
  one(op: string, inputs: readonly Value[], attributes?: Attributes, options?: NodeOptions): Value;
  /** A constant; of equal ones there is one node. */
  constant(constant: Constant): Value;
  /** An int32 vector, or a scalar: where TensorFlow takes a shape, an axis or the like as an input. */
  integers(values: readonly number[] | number): Value;
  /** A float32 scalar. */
  float(value: number): Value;
}

export interface NodeOptions {
  readonly name?: string;
  readonly controlInputs?: readonly string[];
}
