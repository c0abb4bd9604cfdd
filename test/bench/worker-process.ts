/** A process that does one piece of work as often as it is asked to, and reports its time. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { deferred } from '../../shared/foundation/index.js';
import { peakMibOf } from '../proc.js';

export interface Worker {
  readonly name: string;
  /** Its report when it was warm. */
  readonly ready: Readonly<Record<string, number>>;
  /** Milliseconds of each of `runs` runs. */
  time(runs: number): Promise<number[]>;
  /** Ends it. Peak resident memory and, on a device, peak memory there, MiB. */
  end(): Promise<{ readonly peakMb: number; readonly peakDeviceMb?: number | undefined }>;
}

interface Report {
  readonly asks?: true;
  readonly gives?: true;
  readonly ms?: number[];
  readonly peakDeviceMb?: number;
}

/** Takes a turn, when those before have given theirs back; the result gives it back. */
export type Turns = () => Promise<() => void>;

/** For workers that measure which of their kernels is fastest: one after another. */
export function createTurns(): Turns {
  let last = Promise.resolve();
  return async () => {
    const before = last;
    const { promise, resolve } = deferred();
    last = promise;
    await before;
    return resolve;
  };
}

/**
 * Starts a process of the protocol that `peers/work.py` describes, and waits until it is warm.
 * @param signal Ends it at once.
 * @param turns Shared with the workers that are started at the same time.
 * @throws Error with the end of what it wrote to standard error.
 */
export async function startWorker(
  name: string,
  command: readonly string[],
  cwd: string,
  signal?: AbortSignal,
  turns: Turns = createTurns(),
): Promise<Worker> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd, stdio: ['pipe', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' });
  let trouble = '';
  child.stderr.on('data', (text: Buffer) => {
    trouble = `${trouble}${text.toString()}`.slice(-2000);
  });
  const waiting: ReturnType<typeof deferred<Report>>[] = [];
  let giveBack = (): void => undefined;
  const takeTurn = async (): Promise<void> => {
    const given = await turns();
    if (child.exitCode !== null || child.signalCode !== null) given();
    else {
      giveBack = given;
      child.stdin.write('\n');
    }
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!line.startsWith('{')) return;
    const report = JSON.parse(line) as Report;
    if (report.asks === true) void takeTurn();
    else if (report.gives === true) giveBack();
    else waiting.shift()?.resolve(report);
  });
  const failed = (text: string): void => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`${name} ${text}`));
  };
  child.on('error', ({ message }) => {
    failed(`failed: ${message}`);
  });
  child.on('exit', (code) => {
    giveBack();
    failed(`ended with exit code ${String(code)}: ${trouble}`);
  });
  const next = (): Promise<Report> => {
    const answer = deferred<Report>();
    waiting.push(answer);
    return answer.promise;
  };
  const ready = (await next()) as Readonly<Record<string, number>>;
  return {
    name,
    ready,
    time: async (runs) => {
      child.stdin.write(`${runs}\n`);
      return (await next()).ms ?? [];
    },
    end: async () => {
      const peakMb = await peakMibOf(child.pid ?? 0);
      const last = next();
      child.stdin.end();
      const { peakDeviceMb } = await last;
      return { peakMb, peakDeviceMb };
    },
  };
}

/** @throws Error where a network has not as many parameters as the first. */
export function checkParameters([first, ...others]: readonly Worker[]): void {
  for (const { name, ready } of others) {
    if (ready['parameters'] === first?.ready['parameters']) continue;
    throw new Error(
      `${name}: wanted ${String(first?.ready['parameters'])} parameters as ${String(first?.name)}; got ${String(ready['parameters'])}`,
    );
  }
}
