/** What each node of a run took, from TensorFlow's own trace of it. */
import { RunMetadata, RunOptions, RunOptions_TraceLevel } from '../generated/session.js';
import type { Pointer, TensorFlowC } from './tensorflow-c.js';

export interface NodeTime {
  /** As TensorFlow's optimisers left it: fused nodes have the name of one of their parts. */
  readonly node: string;
  readonly op: string;
  /** From the start of the run's first node. */
  readonly startMicroseconds: number;
  readonly microseconds: number;
}

/** Two TF_Buffers. */
export interface Tracing {
  readonly options: Pointer;
  readonly metadata: Pointer;
}

export function startTracing(c: TensorFlowC): Tracing {
  const options = RunOptions.encode({ traceLevel: RunOptions_TraceLevel.FULL_TRACE }).finish();
  return { options: c.TF_NewBufferFromString(options, options.length), metadata: c.TF_NewBuffer() };
}

export function stopTracing(c: TensorFlowC, { options, metadata }: Tracing): void {
  c.TF_DeleteBuffer(options);
  c.TF_DeleteBuffer(metadata);
}

/** After the run. */
export function nodeTimes(c: TensorFlowC, { metadata }: Tracing): NodeTime[] {
  const { data, length } = c.TF_GetBuffer(metadata);
  const bytes = new Uint8Array(length);
  c.memcpy(bytes, data, bytes.length);
  const nodes = (RunMetadata.decode(bytes).stepStats?.devStats ?? []).flatMap(({ nodeStats }) => nodeStats);
  const starts = nodes.map(({ allStartMicros }) => allStartMicros);
  const start = starts.reduce((least, each) => (each < least ? each : least), starts[0] ?? 0n);
  return nodes.map(({ nodeName, timelineLabel, allStartMicros, opStartRelMicros, opEndRelMicros }) => ({
    node: nodeName,
    // "<name> = <operation>(<inputs>)"
    op: /= (\w+)\(/.exec(timelineLabel)?.[1] ?? nodeName,
    startMicroseconds: Number(allStartMicros - start),
    microseconds: Number(opEndRelMicros - opStartRelMicros),
  }));
}
