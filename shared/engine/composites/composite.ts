/** Composites: operations that stand for several plain ones, a node of the graph each, which every target lowers by itself. */
import { tf } from '../tf.js';

import type { Builder } from '../compiled/graph-builder.js';
import type { Attributes, Output, Value } from '../compiled/graph.js';
import type { NativeKernels } from '../compiled/native-kernels.js';
import type { Rule } from '../pjrt/stablehlo/rule.js';

/** What is known of a device for which a program of StableHLO is compiled. */
export interface StablehloTarget {
  /** Whether it has cuDNN's attention, and factors of products are rounded to bfloat16 anyway. */
  readonly attentionCalls: boolean;
}

/** A row of the table: what is known of one composite, wherever it is computed. */
export interface Composite {
  /** Its name in graphs and among tfjs's kernels. */
  readonly op: string;
  /** Shapes and types of the outputs. @throws Error saying what was wanted, where the inputs don't fit. */
  infer(inputs: readonly Value[], attributes: Attributes): readonly Output[];
  /** Absent where it has none. */
  readonly gradient?: Gradient;
  /** In tfjs's ops: on the eager engine, and for each target that has no rule below. It may not call for gradients. */
  plain(inputs: readonly tf.Tensor[], attributes: Attributes): readonly tf.Tensor[];
  /** In TensorFlow's operations, where tfjs's ops can't say it. */
  tensorflow?(builder: Builder, inputs: readonly Value[]): readonly Value[];
  /** By kernels of the engine's own; undefined where these don't take such inputs. */
  native?(
    builder: Builder,
    inputs: readonly Value[],
    attributes: Attributes,
    kernels: NativeKernels,
  ): readonly Value[] | undefined;
  /** In StableHLO, where the plain form is worse there. */
  readonly stablehlo?: Rule;
  /** Whether that rule is for such a node; default: for all. */
  fitsStablehlo?(inputs: readonly Value[], attributes: Attributes, target: StablehloTarget): boolean;
  /** By kernels of the engine's own that write results where the variables lie in which these are to be stored. */
  inPlace?(inputs: readonly string[], attributes: Attributes): readonly InPlaceUpdate[];
}

export interface Gradient {
  /** Whether it needs an output, for each of them; beside these it is given all inputs. */
  readonly outputs?: readonly boolean[];
  /** The gradient in each input, from those in the outputs. @param saved The inputs, then the outputs asked for. */
  of(dys: readonly tf.Tensor[], saved: readonly tf.Tensor[], attributes: Attributes): readonly tf.Tensor[];
}

/** A node whose inputs are whether to commit, those that are read, and the variables that are written. */
export interface InPlaceUpdate {
  readonly op: string;
  readonly attributes: Attributes;
  /** Inputs of the composite. */
  readonly read: readonly string[];
  /** Inputs of the composite, each with the index of the output that it becomes. */
  readonly written: readonly { readonly input: string; readonly output: number }[];
}

/** The row itself; tfjs learns of its gradient. */
export function composite(row: Composite): Composite {
  const { op, gradient } = row;
  if (gradient !== undefined) {
    tf.registerGradient({
      kernelName: op,
      saveAllInputs: true,
      outputsToSave: [...(gradient.outputs ?? [])],
      gradFunc: (dy, saved, attributes) => {
        const gradients = gradient.of([dy].flat(), saved, attributes as unknown as Attributes);
        return Object.fromEntries(gradients.map((each, i) => [String(i), () => each]));
      },
    });
  }
  return row;
}

/** What a composite gives for tensors. */
export function called(
  { op }: Pick<Composite, 'op'>,
  inputs: readonly tf.Tensor[],
  attributes: Attributes = {},
): tf.Tensor[] {
  // tfjs saves all inputs for a gradient only where they are a list.
  const listed = [...inputs] as unknown as Record<string, tf.Tensor>;
  const given = { ...attributes } as Parameters<ReturnType<typeof tf.engine>['runKernel']>[2];
  return [tf.engine().runKernel<tf.Tensor | tf.Tensor[]>(op, listed, given)].flat();
}
