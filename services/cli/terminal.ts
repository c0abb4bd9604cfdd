/** The output of commands: text for people, or JSON lines for programs. */

import { stripVTControlCharacters } from 'node:util';

import type { Clock } from '../../shared/foundation/index.js';
import { createProgress, type Progress } from './progress.js';
import type { Sink } from './sink.js';

type Paint = (text: string) => string;

export interface Style {
  readonly dim: Paint;
  readonly good: Paint;
  readonly bad: Paint;
}

export interface Terminal {
  readonly json: boolean;
  /** For standard output. */
  readonly style: Style;
  /** Prints a line for people; nothing with --json. */
  print(line?: string): void;
  /** Prints a JSON line, bigints as text; nothing without --json. */
  emit(value: object): void;
  /** Prints a line to standard error. */
  printError(line: string): void;
  /** A progress bar on a terminal, lines without a bar elsewhere, nothing with --json. */
  progress(): Progress;
}

export interface TerminalOptions {
  readonly out: Sink;
  readonly err: Sink;
  readonly json: boolean;
  /** Whether colours are welcome; without a terminal there are none. */
  readonly colours: boolean;
  readonly clock: Clock;
}

export function createTerminal({ out, err, json, colours, clock }: TerminalOptions): Terminal {
  let progress: Progress | undefined;
  const line = (text: string): void => {
    if (progress === undefined) out.write(`${text}\n`);
    else progress.note(text);
  };
  return {
    json,
    style: createStyle(colours && out.isTTY === true),
    print: (text = '') => {
      if (!json) line(text);
    },
    emit: (value) => {
      if (json) out.write(`${toJsonLine(value)}\n`);
    },
    printError: (text) => {
      err.write(`${out.isTTY === true && err.isTTY === true ? text : stripVTControlCharacters(text)}\n`);
    },
    progress: () => {
      const started = createProgress(json ? { write: () => true } : out, clock);
      progress = {
        ...started,
        end: () => {
          started.end();
          progress = undefined;
        },
      };
      return progress;
    },
  };
}

/** One line of JSON; bigints become text, as in protobuf's JSON. */
export function toJsonLine(value: object): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'bigint' ? inner.toString() : inner,
  );
}

function createStyle(colours: boolean): Style {
  const paint =
    (code: number): Paint =>
    (text) =>
      colours ? `\u001b[${code}m${text}\u001b[0m` : text;
  return { dim: paint(2), good: paint(32), bad: paint(31) };
}
