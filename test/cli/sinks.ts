/** Terminals that remember what was written to them. */

import type { Clock } from '../../shared/foundation/index.js';
import { runProgram } from '../../services/cli/program.js';
import type { Sink } from '../../services/cli/sink.js';

export interface Memory extends Sink {
  readonly text: () => string;
}

export function memory(isTTY = false, columns = 80): Memory {
  const written: string[] = [];
  return { isTTY, columns, write: (text) => written.push(text), text: () => written.join('') };
}

export interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly environment?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly isTTY?: boolean;
}

/** Runs a command line in this process. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { environment = {}, signal = new AbortController().signal, isTTY = false } = options;
  const [out, err] = [memory(isTTY), memory(isTTY)];
  const exitCode = await runProgram(argv, { out, err, signal, settings: { environment, colours: true } });
  return { exitCode, out: out.text(), err: err.text() };
}

/** Time that stands still until it is set. */
export function stoppedClock(): Clock & { nowMs: number } {
  const clock = { nowMs: 0, wallMs: () => clock.nowMs, monotonicMs: () => clock.nowMs };
  return clock;
}
