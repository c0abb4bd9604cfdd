/** Takes down what happens, in memory for the rules and in a file for people. */

import { createWriteStream } from 'node:fs';
import { once } from 'node:events';

import { DiffusionError } from '../../shared/foundation/index.js';
import type { Entry, Happening } from './history.js';

export interface Recorder {
  readonly history: readonly Entry[];
  /** Milliseconds since the run began. */
  elapsedMs(): number;
  add(happening: Happening): void;
  /**
   * Runs a call and takes down how it ended; what it throws is thrown on.
   *
   * @param of What it asks for.
   */
  call<T>(method: string, work: () => Promise<T>, of?: { readonly model: string }): Promise<T>;
  close(): Promise<void>;
}

export function recorder(path: string): Recorder {
  const beganMs = performance.now();
  const file = createWriteStream(path);
  const history: Entry[] = [];
  const elapsedMs = (): number => Math.round(performance.now() - beganMs);

  function add(happening: Happening): void {
    const entry = { atMs: elapsedMs(), ...happening };
    history.push(entry);
    file.write(`${JSON.stringify(entry)}\n`);
  }

  return {
    history,
    elapsedMs,
    add,
    async call(method, work, of) {
      try {
        const answer = await work();
        add({ kind: 'call', method, ...of, code: 'OK' });
        return answer;
      } catch (error) {
        if (!(error instanceof DiffusionError)) throw error;
        const { code, reason, message: detail } = error;
        add({ kind: 'call', method, ...of, code, reason, detail });
        throw error;
      }
    },
    async close() {
      file.end();
      await once(file, 'close');
    },
  };
}
