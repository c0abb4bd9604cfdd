/** How many processes the system has killed because memory ran out, as far as this process can see. */

import { readFileSync } from 'node:fs';

/** Of this process's control group (version 2), in which its children run too; undefined where the system has none. */
export function memoryKills(root = '/sys/fs/cgroup', own = '/proc/self/cgroup'): number | undefined {
  try {
    // "0::/path" is the one line of version 2.
    const path = /^0::(\/.*)$/m.exec(readFileSync(own, 'utf8'))?.[1];
    if (path === undefined) return undefined;
    const count = /^oom_kill (\d+)$/m.exec(readFileSync(`${root}${path}/memory.events`, 'utf8'))?.[1];
    return count === undefined ? undefined : Number(count);
  } catch {
    return undefined;
  }
}
