/** Results as a table, one row for each number. */
import type { Estimate } from '../statistics/index.js';
import type { MeasureResult } from './result.js';

const HEADINGS = [
  'measure',
  'figure',
  'curve',
  'x',
  'value',
  'low',
  'high',
  'ideal',
  'images',
  'steps',
  'seed',
];

/** CSV with a heading. Findings have no x, and `finding` in the place of the figure. */
export function resultsCsv(results: readonly MeasureResult[]): string {
  const rows = results.flatMap(({ measure, images, steps, seed, figures, findings }) => {
    const row = (
      figure: string,
      curve: string,
      x: number | undefined,
      { value, low, high }: Estimate,
      ideal?: number,
    ) =>
      [measure, figure, curve, x ?? '', value, low, high, ideal ?? '', images, steps, seed]
        .map(cell)
        .join(',');
    return [
      ...figures
        .filter(({ map }) => map !== true)
        .flatMap(({ name, curves, ideal }) =>
          curves.flatMap((curve) =>
            curve.points.map((point) => row(name, curve.name, point.x, point, ideal)),
          ),
        ),
      ...findings.map((found) => row('finding', found.name, undefined, found, found.ideal)),
    ];
  });
  return `${[HEADINGS.join(','), ...rows].join('\n')}\n`;
}

function cell(value: string | number): string {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
