/** A TensorFlow session: takes graphs, runs parts of them off the JavaScript thread, frees what it allocates. */
import { availableParallelism } from 'node:os';

import { DiffusionError } from '../../foundation/index.js';
import { ConfigProto } from '../generated/session.js';
import { dataType, emitGraph } from './emit.js';
import { parseRef } from './graph.js';
import type { ConstantValues, Graph, Value } from './graph.js';
import { tensorflowC } from './tensorflow-c.js';
import type { Pointer, SessionRunArguments, TensorFlowC } from './tensorflow-c.js';
import { processRuns } from './run-watch.js';
import type { RunWatch, Work } from './run-watch.js';
import { nodeTimes, startTracing, stopTracing } from './profile.js';
import type { NodeTime } from './profile.js';

export interface Session {
  /** Adds nodes, whose names must be new. @throws DiffusionError INTERNAL where TensorFlow refuses the graph. */
  extend(graph: Graph): void;
  /**
   * What is to be run again and again: `inputs` are placeholders, `targets` are nodes that must run.
   * One run at a time. @param work About how much it computes, from which follows when a run is overdue.
   */
  prepare(
    inputs: readonly Value[],
    outputs: readonly Value[],
    targets: readonly string[],
    work?: Work,
  ): PreparedRun;
  /** Frees all; no run may be going on. */
  close(): void;
}

/**
 * Takes an array for each input and gives one for each output, converted to float32.
 *
 * @param profile Where to put what each node took; a run so measured is slower.
 * @throws DiffusionError RESOURCE_EXHAUSTED (ENGINE_OUT_OF_MEMORY), INTERNAL (ENGINE_FAILED).
 */
export type PreparedRun = (
  arrays: readonly ConstantValues[],
  profile?: NodeTime[],
) => Promise<Float32Array[]>;

const NONE = 0n;
const RESOURCE_EXHAUSTED = 8;

const SMALL_WORK: Work = { name: 'a graph', flops: 0 };

/**
 * @param runs Follows all runs.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) when the native library can't be loaded.
 */
export function openSession(runs: RunWatch = processRuns): Session {
  const c = tensorflowC();
  const graph = c.TF_NewGraph();
  const session = newSession(c, graph);

  function extend(nodes: Graph): void {
    const bytes = emitGraph(nodes);
    const buffer = c.TF_NewBufferFromString(bytes, bytes.length);
    const options = c.TF_NewImportGraphDefOptions();
    try {
      checked(c, 'building a graph', (status) => {
        c.TF_GraphImportGraphDef(graph, buffer, options, status);
      });
    } finally {
      c.TF_DeleteImportGraphDefOptions(options);
      c.TF_DeleteBuffer(buffer);
    }
  }

  function operationOf(node: string): Pointer {
    const operation = c.TF_GraphOperationByName(graph, node) as Pointer | null;
    if (!operation) throw new Error(`the session has no node ${node}`);
    return operation;
  }

  /** TF_Output[]: a pointer and an index each. */
  function endpoints(values: readonly Value[]): BigUint64Array {
    return BigUint64Array.from(
      values.flatMap(({ ref }) => {
        const { node, index } = parseRef(ref);
        return [operationOf(node), BigInt(index)];
      }),
    );
  }

  function prepare(
    inputs: readonly Value[],
    outputs: readonly Value[],
    targets: readonly string[],
    work = SMALL_WORK,
  ): PreparedRun {
    const followed = runs.follow(work);
    const [inputEnds, outputEnds] = [endpoints(inputs), endpoints(outputs)];
    const targetNodes = BigUint64Array.from(targets, operationOf);
    return async (arrays, profile) => {
      const tracing = profile && startTracing(c);
      const given = new BigUint64Array(inputs.length);
      const taken = new BigUint64Array(outputs.length);
      const status = c.TF_NewStatus();
      try {
        for (const [i, value] of inputs.entries()) given[i] = toNative(c, value, arrays[i]);
        await followed(async () => {
          await runOffThread(c, [
            ...[session, tracing?.options ?? NONE],
            ...[inputEnds, given, given.length, outputEnds, taken, taken.length],
            ...[targetNodes, targetNodes.length, tracing?.metadata ?? NONE, status],
          ] as SessionRunArguments);
          throwUnlessOk(c, status, 'running a graph');
        });
        if (tracing) profile.push(...nodeTimes(c, tracing));
        return outputs.map((value, i) => toFloats(c, value, taken[i] ?? NONE));
      } finally {
        for (const tensor of [...given, ...taken]) if (tensor !== NONE) c.TF_DeleteTensor(tensor);
        if (tracing) stopTracing(c, tracing);
        c.TF_DeleteStatus(status);
      }
    };
  }

  function close(): void {
    try {
      checked(c, 'closing a session', (status) => {
        c.TF_CloseSession(session, status);
      });
    } finally {
      checked(c, 'closing a session', (status) => {
        c.TF_DeleteSession(session, status);
      });
      c.TF_DeleteGraph(graph);
    }
  }

  return { extend, prepare, close };
}

function runOffThread(c: TensorFlowC, args: SessionRunArguments): Promise<void> {
  return new Promise((resolve, reject) => {
    c.TF_SessionRun.async(...args, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function newSession(c: TensorFlowC, graph: Pointer): Pointer {
  const threads = availableParallelism();
  const config = ConfigProto.encode(
    ConfigProto.fromPartial({
      intraOpParallelismThreads: threads,
      // Each operation has all threads; a second one beside it would only take them away.
      interOpParallelismThreads: 1,
      // Its general optimiser takes longer than all else before the first step; what helps here is done by the passes.
      graphOptions: { rewriteOptions: { disableMetaOptimizer: true } },
    }),
  ).finish();
  const options = c.TF_NewSessionOptions();
  try {
    // Each with a status of its own: the second call's success would hide the first one's failure.
    checked(c, 'setting up a session', (status) => {
      c.TF_SetConfig(options, config, config.length, status);
    });
    return checked(c, 'opening a session', (status) => c.TF_NewSession(graph, options, status));
  } finally {
    c.TF_DeleteSessionOptions(options);
  }
}

function toNative(c: TensorFlowC, { dtype, shape }: Value, values: ConstantValues | undefined): Pointer {
  if (values === undefined) throw new Error('an input has no values');
  const lengths = BigInt64Array.from(shape, BigInt);
  const tensor = c.TF_AllocateTensor(
    dataType(dtype),
    lengths,
    shape.length,
    values.byteLength,
  ) as Pointer | null;
  if (!tensor) throw outOfMemory(`${values.byteLength} bytes for an input`);
  if (values.byteLength > 0) c.memcpy(c.TF_TensorData(tensor), values, values.byteLength);
  return tensor;
}

function toFloats(c: TensorFlowC, { dtype }: Value, tensor: Pointer): Float32Array {
  const bytes = c.TF_TensorByteSize(tensor);
  const copy = new Uint8Array(bytes);
  if (bytes > 0) c.memcpy(copy, c.TF_TensorData(tensor), bytes);
  if (dtype === 'float32') return new Float32Array(copy.buffer);
  return Float32Array.from(dtype === 'int32' ? new Int32Array(copy.buffer) : copy);
}

function checked<T>(c: TensorFlowC, doing: string, action: (status: Pointer) => T): T {
  const status = c.TF_NewStatus();
  try {
    const result = action(status);
    throwUnlessOk(c, status, doing);
    return result;
  } finally {
    c.TF_DeleteStatus(status);
  }
}

function throwUnlessOk(c: TensorFlowC, status: Pointer, doing: string): void {
  const code = c.TF_GetCode(status);
  if (code === 0) return;
  const text = `${doing}: ${c.TF_Message(status)}`;
  throw code === RESOURCE_EXHAUSTED
    ? outOfMemory(text)
    : new DiffusionError('ENGINE_FAILED', `the engine failed while ${text}`);
}

function outOfMemory(text: string): DiffusionError {
  return new DiffusionError('ENGINE_OUT_OF_MEMORY', `out of memory: ${text}`);
}
