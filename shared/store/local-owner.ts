/** Which process made a file, and whether it may still be at work on it. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { systemClock } from '../foundation/index.js';

// Tells this process from an earlier one with the same number, as containers have it after a restart.
const self = { host: encodeURIComponent(hostname()), process: process.pid, token: randomUUID() };

/** A text, fit for a file name, that names this process. */
export const ownerText = `${self.host}~${self.process}~${self.token}`;

/**
 * Whether the owner can be at work no more: it has ended, or, where that can't be seen from this host, what it left
 * has not changed for `limitMs`.
 */
export function isOwnerGone(owner: string, changedAtMs: number, limitMs: number): boolean {
  const [host, number, token] = owner.split('~');
  if (systemClock.wallMs() - changedAtMs > limitMs) return true;
  if (host !== self.host) return false;
  return Number(number) === self.process ? token !== self.token : !isRunning(Number(number));
}

function isRunning(process_: number): boolean {
  if (!Number.isSafeInteger(process_) || process_ <= 0) return false;
  try {
    return process.kill(process_, 0);
  } catch (error) {
    // EPERM: it runs, under another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
