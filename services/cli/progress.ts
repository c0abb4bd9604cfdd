/** Progress of long work: a line that is redrawn on a terminal, a new line every few seconds elsewhere. */

import type { Clock } from '../../shared/foundation/index.js';
import type { Sink } from './sink.js';

export interface ProgressState {
  readonly label: string;
  /** From 0 to 1; undefined where it isn't known. */
  readonly share?: number;
  /** Short facts, the most important first: the last ones are cut off on a narrow terminal. */
  readonly facts: readonly string[];
}

export interface Progress {
  update(state: ProgressState): void;
  /** A line that stays on the terminal, above the bar. */
  note(line: string): void;
  /** Shows the last state once more, as a line that stays. */
  end(): void;
}

const REDRAW_EVERY_MS = 100;
const LINE_EVERY_MS = 5000;
/** The bar has the width that the text leaves free, within these limits. */
const BAR_WIDTHS = { min: 4, max: 24 };
const DEFAULT_COLUMNS = 80;
const CLEAR_LINE = '\r\u001b[K';

/** Nothing here touches the cursor's visibility, line wrapping or signals, so a killed program leaves the terminal as it was. */
export function createProgress(out: Sink, clock: Clock): Progress {
  return out.isTTY === true ? barProgress(out, clock) : lineProgress(out, clock);
}

function barProgress(out: Sink, clock: Clock): Progress {
  let last: ProgressState | undefined;
  let drawnMs = -Infinity;
  const draw = (state: ProgressState): void => {
    drawnMs = clock.monotonicMs();
    // The last column stays free: some terminals wrap as soon as it is written. Some say that they have 0.
    const columns = (out.columns || DEFAULT_COLUMNS) - 1;
    const text = progressLine(state);
    out.write(CLEAR_LINE + (bar(state.share, columns - text.length - 1) + text).slice(0, columns));
  };
  return {
    update: (state) => {
      last = state;
      if (clock.monotonicMs() - drawnMs >= REDRAW_EVERY_MS) draw(state);
    },
    note: (line) => {
      out.write(`${last === undefined ? '' : CLEAR_LINE}${line}\n`);
      if (last !== undefined) draw(last);
    },
    end: () => {
      if (last === undefined) return;
      draw(last);
      out.write('\n');
      last = undefined;
    },
  };
}

function lineProgress(out: Sink, clock: Clock): Progress {
  let pending: ProgressState | undefined;
  let writtenMs = -Infinity;
  const write = (state: ProgressState): void => {
    writtenMs = clock.monotonicMs();
    pending = undefined;
    out.write(`${progressLine(state)}\n`);
  };
  return {
    update: (state) => {
      if (clock.monotonicMs() - writtenMs >= LINE_EVERY_MS) write(state);
      else pending = state;
    },
    note: (line) => {
      out.write(`${line}\n`);
    },
    end: () => {
      if (pending !== undefined) write(pending);
    },
  };
}

/** A state as text: `training 45 % · step 450/1,000 · loss 0.081`. */
export function progressLine({ label, share, facts }: ProgressState): string {
  const percent = share === undefined ? '' : ` ${Math.floor(clampShare(share) * 100)} %`;
  return [label + percent, ...facts].join(' · ');
}

function bar(share: number | undefined, room: number): string {
  if (share === undefined) return '';
  const width = Math.min(BAR_WIDTHS.max, Math.max(BAR_WIDTHS.min, room));
  const filled = Math.round(clampShare(share) * width);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)} `;
}

function clampShare(share: number): number {
  return Math.min(1, Math.max(0, share));
}
