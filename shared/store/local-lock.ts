/** A lock between processes on one folder that survives its holder's death. */

import { randomInt } from 'node:crypto';
import { readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile } from './local-files.js';
import { pause, systemClock } from '../foundation/index.js';
import { isOwnerGone, ownerText } from './local-owner.js';
import { codeOf, refuseAborted } from './store-errors.js';

/** Far longer than anyone holds the lock: a holder that has been seen with it for so long is dead, or stopped. */
const HOLD_LIMIT_MS = 30_000;
const FREE = '.free';

/** A file of the ticket folder: its number, and whether its holder gave it back. */
interface Ticket {
  readonly number: number;
  readonly free: boolean;
}

export interface LockFolders {
  readonly tickets: string;
  readonly temp: string;
}

/** Whether the lock is still the holder's: one that was stopped for too long has lost it. */
export type StillHeld = () => Promise<boolean>;

/**
 * Runs `work` while no other holder of the same folder runs.
 *
 * The lock is the ticket with the highest number: held by the process that it names, or free. Taking it means to
 * create the next number once the highest is free or its owner gone. The highest is never deleted, so a process that
 * slept through others' turns finds another ticket not below its own and stands back. Giving it back is a rename,
 * because that works on a full disk.
 *
 * @param work Asks `stillHeld` right before it changes anything.
 */
export async function withLock<T>(
  folders: LockFolders,
  signal: AbortSignal | undefined,
  work: (stillHeld: StillHeld) => Promise<T>,
  holdLimitMs = HOLD_LIMIT_MS,
): Promise<T> {
  const number = await acquire(folders, signal, holdLimitMs);
  const path = ticketPath(folders, number);
  const stillHeld = async (): Promise<boolean> =>
    (await ticketsOf(folders)).every((other) => other.number <= number);
  try {
    return await work(stillHeld);
  } finally {
    await rename(path, path + FREE).catch(ignoreMissing);
  }
}

async function acquire(
  folders: LockFolders,
  signal: AbortSignal | undefined,
  holdLimitMs: number,
): Promise<number> {
  // By the monotonic clock, from when this waiter saw the ticket first.
  let seen = { number: 0, sinceMs: 0 };
  for (;;) {
    refuseAborted(signal);
    const highest = Math.max(0, ...(await ticketsOf(folders)).map(({ number }) => number));
    if (highest !== seen.number) seen = { number: highest, sinceMs: systemClock.monotonicMs() };
    const isLost = systemClock.monotonicMs() - seen.sinceMs > holdLimitMs;
    if (!(await isFree(folders, highest, isLost))) {
      await pause(randomInt(2, 10), signal);
      continue;
    }
    const number = highest + 1;
    const mine = ticketPath(folders, number);
    if (!(await createFile(folders.temp, mine, Buffer.from(ownerText)))) continue;
    const tickets = await ticketsOf(folders);
    if (tickets.some((other) => other.number > number || (other.number === number && other.free))) {
      await rm(mine, { force: true });
      continue;
    }
    for (const other of tickets.filter((ticket) => ticket.number < number)) {
      await rm(ticketPath(folders, other.number) + (other.free ? FREE : ''), { force: true });
    }
    return number;
  }
}

async function isFree(folders: LockFolders, number: number, isLost: boolean): Promise<boolean> {
  if (number === 0 || isLost) return true;
  const path = ticketPath(folders, number);
  try {
    return isOwnerGone(await readFile(path, 'utf8')) ?? false;
  } catch (error) {
    ignoreMissing(error);
    // Given back, or outrun by a higher one, which the next look finds.
    return stat(path + FREE).then(
      () => true,
      () => false,
    );
  }
}

async function ticketsOf({ tickets }: LockFolders): Promise<Ticket[]> {
  const names = await readdir(tickets);
  return names.map((name) => ({ number: Number.parseInt(name, 10), free: name.endsWith(FREE) }));
}

function ticketPath({ tickets }: LockFolders, number: number): string {
  return join(tickets, String(number));
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}
