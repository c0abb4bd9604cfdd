/** Which process made a file, and whether it may still be at work on it. */

import {
  hasEnded,
  isRunningHere,
  processToken,
  thisProcess,
  type ProcessIdentity,
} from '../processes/index.js';
import { systemClock } from '../foundation/index.js';

const SEPARATOR = '~';

/** A text, fit for a file name, that names this process. */
export const ownerText = ownerOf(thisProcess());

function ownerOf(identity: ProcessIdentity | undefined): string {
  if (identity === undefined) return processToken;
  const { boot, namespace, pid, startedAt } = identity;
  return [boot, encodeURIComponent(namespace), pid, startedAt].join(SEPARATOR);
}

/** What the text says of its owner; undefined for a text that says nothing that this system could look up. */
function identityOf(owner: string): ProcessIdentity | undefined {
  const [boot, namespace, pid, startedAt] = owner.split(SEPARATOR);
  if (boot === undefined || namespace === undefined || startedAt === undefined) return undefined;
  return { boot, namespace: decodeURIComponent(namespace), pid: Number(pid), startedAt };
}

/** Whether the owner of what it wrote can be at work on it no more; undefined where that can't be seen from here. */
export function isOwnerGone(owner: string): boolean | undefined {
  const identity = identityOf(owner);
  if (identity === undefined) return undefined;
  if (hasEnded(identity)) return true;
  return isRunningHere(identity) ? false : undefined;
}

/** Whether a file of an owner is so old that it counts as left behind; only where nothing better is known. */
export function isLeftBehind(owner: string, changedAtMs: number, limitMs: number): boolean {
  return isOwnerGone(owner) ?? systemClock.wallMs() - changedAtMs > limitMs;
}
