/** Whether an engine can be started on this machine. */

import { deferred, onAbort, pause, type Clock, type Environment } from '../foundation/index.js';
import { describeExit, siblingModule, startChild } from '../processes/index.js';
import { probeProtocol, type EngineFound } from './probe-messages.js';

const HEARTBEAT_TIMEOUT_MS = 60_000;
const RETRY_MS = 60_000;

export interface ProbeOptions {
  /** The process's whole environment. */
  readonly environment: Environment;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Starts an engine in a process of its own, and ends it. @throws the signal's reason. */
export async function probeEngine({ environment, clock, signal }: ProbeOptions): Promise<EngineFound> {
  const { promise, resolve } = deferred<EngineFound>();
  const child = startChild({
    module: siblingModule(import.meta.url, './probe-process'),
    protocol: probeProtocol,
    environment,
    onMessage: resolve,
    heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS,
    clock,
  });
  void child.exited.then((exit) => {
    const lastLine = exit.stderrTail.trim().split('\n').at(-1) ?? '';
    const problem = `the process that starts it ${describeExit(exit)} ${lastLine}`.trim();
    resolve({ kind: 'failed', problem });
  });
  const stopListening = onAbort(signal, child.kill);
  const found = await promise;
  stopListening();
  child.kill();
  await child.exited;
  signal.throwIfAborted();
  return found;
}

/** What is known of the engines of this machine: nothing yet, or what the last try showed. */
export type EngineKnown = EngineFound | { readonly kind: 'unknown' };

/**
 * Tries until an engine starts, or the signal aborts. @param onFound Called after each try. Never rejects.
 */
export async function untilEngineStarts(
  probe: () => Promise<EngineFound>,
  onFound: (found: EngineFound) => void,
  signal: AbortSignal,
  retryMs = RETRY_MS,
): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    const found = await probe().catch((error: unknown): EngineFound => {
      return { kind: 'failed', problem: error instanceof Error ? error.message : String(error) };
    });
    if (isOver()) return;
    onFound(found);
    if (found.kind === 'started') return;
    await pause(retryMs, signal, { ref: false });
  }
}
