/** What a bench returns, and how a terminal shows it. */

export interface Table {
  /** What was run, on what. */
  readonly about: string;
  readonly rows: readonly Readonly<Record<string, string | number>>[];
}

/** @param isWanted Which rows to measure, where they can be chosen: by what is in their names. */
export type Bench = (say: (line: string) => void, isWanted: (row: string) => boolean) => Promise<Table>;

export function printTable(name: string, { about, rows }: Table): void {
  console.log(`\n${name}: ${about}`);
  console.table(rows);
}

/** The value below which the share `q` of the sorted values lies. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const rounded = (value: number, digits = 1): number => Number(value.toFixed(digits));
