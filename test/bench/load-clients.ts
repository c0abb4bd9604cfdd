/** Starts `load-process.ts`, and ghz. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

import { testTool } from '../../deploy/setup/test-tools.js';
import { programArguments } from '../programs.js';
import type { LoadTask } from './load-process.js';

/** Does a task to its end. @returns what it printed. */
export async function runLoad<T>(task: LoadTask): Promise<T> {
  const child = startLoad(task);
  if (child.stdout === null) throw new Error('no output');
  return JSON.parse(await text(child.stdout)) as T;
}

export function startLoad(task: LoadTask): ChildProcess {
  const program = programArguments(import.meta.url, './load-process');
  const child = spawn(process.execPath, [...program, JSON.stringify(task)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  process.once('exit', () => {
    child.kill('SIGKILL');
  });
  return child;
}

/** What of ghz's report is used; times in nanoseconds. */
export interface GhzReport {
  readonly count: number;
  readonly statusCodeDistribution: Readonly<Record<string, number>>;
  readonly latencyDistribution: readonly { readonly percentage: number; readonly latency: number }[] | null;
}

/** Calls at a rate by ghz, a client in Go. @returns undefined where Go is missing. */
export async function runGhz(
  address: string,
  method: string,
  request: object,
  {
    rate,
    seconds,
    timeoutMs,
  }: { readonly rate: number; readonly seconds: number; readonly timeoutMs: number },
): Promise<GhzReport | undefined> {
  const program = await testTool('ghz');
  if (program === undefined) return undefined;
  const options = {
    call: method,
    data: JSON.stringify(request),
    rps: String(Math.max(1, Math.round(rate))),
    duration: `${seconds}s`,
    'duration-stop': 'wait',
    timeout: `${timeoutMs}ms`,
    connections: '4',
    concurrency: '8',
    format: 'json',
  };
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(program, ['--insecure', '--async', ...words, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return JSON.parse(output) as GhzReport;
}
