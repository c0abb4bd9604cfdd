/** Which process this is, so that another one can know for certain that it has ended. */

import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

/** A process as another one on the same machine can look it up; without fields where the system doesn't provide them. */
export interface ProcessIdentity {
  /** Of the machine since it was started; no other machine has it. */
  readonly boot: string;
  /** Numbers of processes mean something within their namespace alone: containers have their own. */
  readonly namespace: string;
  readonly pid: number;
  /** In the kernel's ticks since the machine started: the number may be given to another process later. */
  readonly startedAt: string;
}

/** A text that no other process has ever had. */
export const processToken: string = randomUUID();

let own: ProcessIdentity | undefined;

/** Of this process; undefined where the system doesn't provide it: then no other process can know that it has ended. */
export function thisProcess(): ProcessIdentity | undefined {
  own ??= read();
  return own;
}

/** Of a process of this machine and namespace; undefined where none with this number runs, or the system doesn't say. */
export function processAt(pid: number): ProcessIdentity | undefined {
  const here = thisProcess();
  const startedAt = startOf(pid);
  return here && startedAt !== undefined ? { ...here, pid, startedAt } : undefined;
}

/**
 * Whether the process has certainly ended: this machine would show it if it were running. False where that can't be
 * seen from here, such as for a process of another machine or container.
 */
export function hasEnded({ boot, namespace, pid, startedAt }: ProcessIdentity): boolean {
  const here = thisProcess();
  if (here === undefined || here.boot !== boot || here.namespace !== namespace) return false;
  return startOf(pid) !== startedAt;
}

/** Whether the process certainly runs. */
export function isRunningHere({ boot, namespace, pid, startedAt }: ProcessIdentity): boolean {
  const here = thisProcess();
  return here?.boot === boot && here.namespace === namespace && startOf(pid) === startedAt;
}

function read(): ProcessIdentity | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const namespace = readlinkSync('/proc/self/ns/pid');
    const startedAt = startOf(process.pid);
    return startedAt === undefined ? undefined : { boot, namespace, pid: process.pid, startedAt };
  } catch {
    return undefined;
  }
}

/** Undefined for a process that isn't there, or is dead and only waits for its parent to notice. */
function startOf(pid: number): string | undefined {
  try {
    // The name in brackets may hold anything; what follows it is: state, 18 further fields, and the start.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
