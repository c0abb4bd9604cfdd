/** How much memory this process may take. */

import { totalmem } from 'node:os';

/** In bytes: the machine's, or less where the system allows a group of processes less, as it does for a container. */
export function machineMemoryBytes(): number {
  // 0 or a value above the machine's where there is no limit.
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
