import { readFile } from 'node:fs/promises';

/** The engine processes of the service that runs in this process. */
export async function enginePids(): Promise<number[]> {
  const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
  const pids: number[] = [];
  for (const pid of children.split(' ').filter((text) => text !== '')) {
    // A process that has ended since then has no command line.
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (/engine-process(\/main)?\.[jt]s/.test(command)) pids.push(Number(pid));
  }
  return pids;
}
