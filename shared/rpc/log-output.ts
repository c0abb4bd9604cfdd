/** A service's log on standard error. Lines that can't be written never make the service fail. */

import { writeSync } from 'node:fs';

import type { DestinationStream } from 'pino';

import { systemClock } from '../foundation/index.js';

const STANDARD_ERROR = 2;
/** How long to wait for a full pipe; a pipe that nobody reads is not waited for longer. */
const TRIES = 20;
const BETWEEN_TRIES_MS = 5;
const WARN = 40;

/** Lines that can't be written (a full disk, a reader that is gone) are counted; the count is logged when one can. */
export function logOutput(service: string, write: typeof writeSync = writeSync): DestinationStream {
  let lost = 0;
  let torn = false;

  function tryToWrite(text: string): boolean {
    const bytes = Buffer.from(torn ? `\n${text}` : text, 'utf8');
    for (let offset = 0, tries = 0; offset < bytes.length;) {
      try {
        offset += write(STANDARD_ERROR, bytes, offset);
        torn = offset < bytes.length;
      } catch (error) {
        tries += 1;
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || tries === TRIES) return false;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BETWEEN_TRIES_MS);
      }
    }
    return true;
  }

  return {
    write: (line) => {
      if (lost > 0 && tryToWrite(lossLine(service, lost))) lost = 0;
      if (!tryToWrite(line)) lost += 1;
    },
  };
}

function lossLine(name: string, lines: number): string {
  const msg = `${lines} ${lines === 1 ? 'line' : 'lines'} of the log could not be written`;
  return `${JSON.stringify({ level: WARN, time: systemClock.wallMs(), name, msg })}\n`;
}
