/** Which versions of Node the program needs; taken from package.json. */

import { packageFile } from '../../../shared/foundation/index.js';

/** As in package.json, such as `>=20.19 <25`. */
export const NODE_WANTED = packageFile().engines.node;

/** Whether a version such as `20.19.3` is in the wanted range. */
export function isNodeWanted(version: string): boolean {
  const [, lowest = '', below = ''] = /^>=(\S+) <(\S+)$/.exec(NODE_WANTED) ?? [];
  return compare(version, lowest) >= 0 && compare(version, below) < 0;
}

function compare(version: string, other: string): number {
  const [numbers, others] = [version, other].map((text) =>
    text.split('.').map((part) => Number.parseInt(part, 10)),
  );
  for (const [index, number] of (numbers ?? []).entries()) {
    const difference = number - (others?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
