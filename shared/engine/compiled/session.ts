/** A TensorFlow session: takes graphs, runs parts of them off the JavaScript thread, frees what it allocates. */
import { availableParallelism } from 'node:os';

import { DiffusionError } from '../../foundation/index.js';
import { ConfigProto } from '../generated/session.js';
import { emitGraph } from './emit.js';
import { parseRef } from './graph.js';
import type { ConstantValues, Graph, Value } from './graph.js';
import { outOfMemory, toArray, toFloats, toNative, toTensor } from './native-tensor.js';
import type { NativeArray } from './native-tensor.js';
import { tensorflowC } from './tensorflow-c.js';
import type { Pointer, SessionRunArguments, TensorFlowC } from './tensorflow-c.js';
import { processRuns } from './run-watch.js';
import type { RunWatch, Work } from './run-watch.js';
import { nodeTimes, startTracing, stopTracing } from './profile.js';
import type { NodeTime, Tracing } from './profile.js';

export interface Session {
  /** Adds nodes, whose names must be new. @throws DiffusionError INTERNAL where TensorFlow refuses the graph. */
  extend(graph: Graph): void;
  /** Adds the nodes of a serialised GraphDef. @throws as `extend`. */
  extendBytes(graphDef: Uint8Array): void;
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
  /**
   * Runs what the outputs need, once. Any output of a node may be given an array of any shape, and any may be asked for;
   * both are `<node>:<index>`.
   *
   * @throws as a `PreparedRun`.
   */
  run(
    given: Readonly<Record<string, NativeArray>>,
    wanted: readonly string[],
    work?: Work,
  ): Promise<NativeArray[]>;
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

/** What a run takes besides its arrays. */
interface PreparedEnds {
  readonly inputEnds: BigUint64Array;
  readonly outputEnds: BigUint64Array;
  readonly targetNodes: BigUint64Array;
  readonly followed: <T>(run: () => Promise<T>) => Promise<T>;
  readonly tracing: Tracing | undefined;
}

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
    extendBytes(emitGraph(nodes));
  }

  function extendBytes(bytes: Uint8Array): void {
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
  function endpoints(refs: readonly string[]): BigUint64Array {
    return BigUint64Array.from(
      refs.flatMap((ref) => {
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
    const inputEnds = endpoints(inputs.map(({ ref }) => ref));
    const outputEnds = endpoints(outputs.map(({ ref }) => ref));
    const targetNodes = BigUint64Array.from(targets, operationOf);
    return async (arrays, profile) => {
      const tracing = profile && startTracing(c);
      try {
        return await runOnce(
          { inputEnds, outputEnds, targetNodes, followed, tracing },
          (given) => {
            for (const [i, value] of inputs.entries()) given[i] = toNative(c, value, arrays[i]);
          },
          (taken) => {
            if (tracing) profile.push(...nodeTimes(c, tracing));
            return outputs.map((value, i) => toFloats(c, value, taken[i] ?? NONE));
          },
        );
      } finally {
        if (tracing) stopTracing(c, tracing);
      }
    };
  }

  async function run(
    arrays: Readonly<Record<string, NativeArray>>,
    wanted: readonly string[],
    work = SMALL_WORK,
  ): Promise<NativeArray[]> {
    const prepared = {
      inputEnds: endpoints(Object.keys(arrays)),
      outputEnds: endpoints(wanted),
      targetNodes: new BigUint64Array(0),
      followed: runs.follow(work),
      tracing: undefined,
    };
    return runOnce(
      prepared,
      (given) => {
        for (const [i, array] of Object.values(arrays).entries()) given[i] = toTensor(c, array);
      },
      (taken) => Array.from(taken, (tensor) => toArray(c, tensor)),
    );
  }

  /** Frees the tensors that `give` makes and those that come back, once `take` has read them. */
  async function runOnce<T>(
    { inputEnds, outputEnds, targetNodes, followed, tracing }: PreparedEnds,
    give: (given: BigUint64Array) => void,
    take: (taken: BigUint64Array) => T,
  ): Promise<T> {
    const given = new BigUint64Array(inputEnds.length / 2);
    const taken = new BigUint64Array(outputEnds.length / 2);
    const status = c.TF_NewStatus();
    try {
      give(given);
      await followed(async () => {
        await runOffThread(c, [
          ...[session, tracing?.options ?? NONE],
          ...[inputEnds, given, given.length, outputEnds, taken, taken.length],
          ...[targetNodes, targetNodes.length, tracing?.metadata ?? NONE, status],
        ] as SessionRunArguments);
        throwUnlessOk(c, status, 'running a graph');
      });
      return take(taken);
    } finally {
      for (const tensor of [...given, ...taken]) if (tensor !== NONE) c.TF_DeleteTensor(tensor);
      c.TF_DeleteStatus(status);
    }
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

  return { extend, extendBytes, prepare, run, close };
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
