/** What a study is: pieces of work whose results are kept, and what is made of them. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { pictureOf, type Figure } from '../shared/exposure/index.js';
import { stackedRows, type ImageRow } from '../shared/images/index.js';

/** A row of a result table. */
export type Row = Readonly<Record<string, string | number>>;

export interface Bench {
  /**
   * A piece's result: that of an earlier run with the same settings, or a new one, which is kept in `results/NAME.json`.
   * So a study that was ended goes on where it was.
   */
  piece<T>(name: string, settings: object, make: (say: (line: string) => void) => Promise<T>): Promise<T>;
  /** How many pieces this run has made, and not found. */
  piecesMade(): number;
  /** Writes `results/NAME.csv`; all rows have the columns of the first. */
  table(name: string, rows: readonly Row[]): Promise<void>;
  /** Writes `results/NAME.svg` and `.png`. */
  figure(name: string, figure: Figure, notes: readonly string[]): Promise<void>;
  /** Writes `results/NAME.png`: rows of images one above the other. */
  images(name: string, rows: readonly ImageRow[]): Promise<void>;
  /** Where a study with training keeps what is too large for results. */
  readonly work: string;
  /** The folder of images that was given. @throws Error where none was. */
  data(): string;
  /** Aborted when the study is to end: what is half done goes on the next time. */
  readonly signal: AbortSignal;
  /** The same for another study's results, where two studies share pieces. */
  of(study: string): Promise<Bench>;
}

export interface Study {
  readonly folder: string;
  readonly run: (bench: Bench) => Promise<void>;
}

/** Of all threads of this process. */
export async function processorSeconds(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

const PNG_SCALE = 1.5;

export interface BenchOptions {
  /** The study's own, beside those of the others. */
  readonly folder: string;
  readonly fresh: boolean;
  readonly data: string | undefined;
  readonly work: string;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
}

export async function benchIn(options: BenchOptions): Promise<Bench> {
  const { folder, fresh, data, work, signal, print } = options;
  const results = join(folder, 'results');
  await mkdir(results, { recursive: true });

  let made = 0;
  return {
    work,
    piecesMade: () => made,
    signal,
    of: (study) => benchIn({ ...options, folder: join(folder, '..', study) }),
    data() {
      if (data === undefined)
        throw new Error('the study trains networks: give the folder of images, --data DIR');
      return data;
    },
    async piece<T>(name: string, settings: object, make: (say: (line: string) => void) => Promise<T>) {
      const path = join(results, `${name}.json`);
      const kept = fresh ? undefined : await readFile(path, 'utf8').catch(() => undefined);
      if (kept !== undefined) {
        const { settings: before, result } = JSON.parse(kept) as { settings: object; result: T };
        if (JSON.stringify(before) === JSON.stringify(settings)) {
          print(`${name}: kept from an earlier run`);
          return result;
        }
      }
      const startMs = performance.now();
      const result = await make((line) => {
        print(`${name}: ${line}`);
      });
      print(`${name}: done in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
      made += 1;
      await writeFile(path, `${JSON.stringify({ settings, result }, undefined, 1)}\n`);
      return result;
    },
    async table(name, rows) {
      const columns = Object.keys(rows[0] ?? {});
      const lines = rows.map((row) => columns.map((column) => String(row[column] ?? '')).join(','));
      await writeFile(join(results, `${name}.csv`), `${[columns.join(','), ...lines].join('\n')}\n`);
    },
    async images(name, rows) {
      await writeFile(join(results, `${name}.png`), await stackedRows(rows));
    },
    async figure(name, figure, notes) {
      const picture = pictureOf(figure, notes);
      await writeFile(join(results, `${name}.svg`), await picture.svg());
      await writeFile(join(results, `${name}.png`), await picture.png(PNG_SCALE));
    },
  };
}
