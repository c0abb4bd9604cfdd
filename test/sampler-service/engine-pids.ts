import { readFile } from 'node:fs/promises';

/** The engine processes of the service that runs in this process. */
export async function enginePids(): Promise<number[]> {
  return childPids(/engine-process(\/main)?\.[jt]s/);
}

/** The children of this process whose command lines match. */
export async function childPids(command: RegExp): Promise<number[]> {
  const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
  const pids: number[] = [];
  for (const pid of children.split(' ').filter((text) => text !== '')) {
    // A process that has ended since then has no command line.
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.test(line)) pids.push(Number(pid));
  }
  return pids;
}
