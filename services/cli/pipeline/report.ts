/** What a pipeline measured, as files of its output. */

import { table } from '../format.js';
import type { VariantResult } from './pipelines.js';

export interface ReportFile {
  readonly key: string;
  readonly bytes: Uint8Array;
}

/** `report.json`, and `report.md` with a row for each variant and a column for each measure. */
export function reportFiles(title: string, variants: readonly VariantResult[]): ReportFile[] {
  return [
    { key: 'report.json', bytes: Buffer.from(`${JSON.stringify({ title, variants }, undefined, 2)}\n`) },
    { key: 'report.md', bytes: Buffer.from(`# ${title}\n\n${markdownOf(variants).join('\n')}\n`) },
  ];
}

function markdownOf(variants: readonly VariantResult[]): string[] {
  const { head, rows } = cellsOf(variants);
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

/** The same for a terminal. */
export function reportLines(variants: readonly VariantResult[]): string[] {
  const { head, rows } = cellsOf(variants);
  return table([head.map((cell) => cell.toUpperCase()), ...rows]);
}

function cellsOf(variants: readonly VariantResult[]): { head: string[]; rows: string[][] } {
  const names = [...new Set(variants.flatMap(({ measured = [] }) => measured.map(({ name }) => name)))];
  const rows = variants.map(({ name, step, measured = [], failure }) => [
    name,
    step === undefined ? '' : String(step),
    ...names.map((each) => figure(measured.find(({ name: found }) => found === each))),
    failure?.replaceAll('|', '\\|') ?? '',
  ]);
  return { head: ['name', 'step', ...names, 'failure'], rows };
}

function figure(
  found: { readonly value: number; readonly standardError?: number | undefined } | undefined,
): string {
  if (found === undefined) return '';
  const { value, standardError } = found;
  const digits = (number: number): string => String(Number(number.toPrecision(5)));
  return standardError === undefined ? digits(value) : `${digits(value)} ± ${digits(standardError)}`;
}
