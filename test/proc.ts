/** What Linux says about processes. */

import { readdir, readFile } from 'node:fs/promises';

/** What a process holds. */
export interface Held {
  readonly memoryMib: number;
  readonly descriptors: number;
  readonly children: number;
}

export interface ChildProcess {
  readonly pid: number;
  readonly command: string;
}

/** The processes that a process has started and that live. */
export async function childrenOf(pid: number): Promise<ChildProcess[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const pids = text.split(' ').flatMap((word) => (word === '' ? [] : [Number(word)]));
  const commands = await Promise.all(pids.map(commandOf));
  return pids.flatMap((child, i) => {
    const command = commands[i] ?? '';
    return command === '' ? [] : [{ pid: child, command }];
  });
}

/** Arguments with spaces between them; empty for a process that has ended. */
export async function commandOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.replaceAll('\0', ' ').trim();
}

/** Undefined for a process that has ended. */
export async function sampleOf(pid: number): Promise<Held | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN);
    const descriptors = (await readdir(`/proc/${pid}/fd`)).length;
    const children = (await childrenOf(pid)).length;
    return Number.isNaN(kib) ? undefined : { memoryMib: kib / 1024, descriptors, children };
  } catch {
    return undefined;
  }
}

/** The most memory that a process that lives has held, in MiB: not what `getrusage` says, which counts its parent's too. */
export async function peakMibOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}

const TICKS_A_SECOND = 100;

/** Processor time that a process has taken so far, of all its threads. @throws Error where it has ended. */
export async function processorSecondsOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Its name may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

const ENGINE = /engine-process\/main\.[jt]s/;

/** The engine processes of a service. */
export async function enginesOf(pid: number): Promise<ChildProcess[]> {
  return (await childrenOf(pid)).filter(({ command }) => ENGINE.test(command));
}
