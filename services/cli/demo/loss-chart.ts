/** A job's metrics -> the chart of how well it learns. */

import type { Chart, Point } from '../../../shared/charts/index.js';

type Row = ReadonlyMap<string, number>;

/** The rows as `readMetricsCsv` returns them. */
export function lossChart(model: string, rows: readonly Row[]): Chart {
  const column = (name: string): Point[] => rows.map((row) => [row.get('step') ?? NaN, row.get(name) ?? NaN]);
  const evaluated = (name: string): Point[] => column(name).filter(([, y]) => Number.isFinite(y));
  const weighted = rows.find((row) => row.get('timesteps_weighted') === 1)?.get('step');
  const evaluations = [
    { name: 'evaluation MSE, EMA weights', kind: 'line', points: evaluated('evaluation_ema_mse') },
    { name: 'evaluation MSE, raw weights', kind: 'line', points: evaluated('evaluation_mse') },
  ] as const;
  const shown = evaluations.filter(({ points }) => points.length > 0);
  return {
    title: `Training ${model}`,
    notes: [
      shown.length > 0
        ? 'Evaluation: the error on images that are not trained on, at timesteps spread evenly. Lower is better.'
        : 'No evaluation was made. Lower is better.',
      ...(weighted === undefined
        ? []
        : [
            'The training MSE jumps at the dashed line: from there timesteps with a large error are sampled more often. The model did not get worse.',
          ]),
    ],
    x: { label: 'optimizer step' },
    y: { label: 'mean squared error', scale: 'log' },
    series: [
      ...shown,
      { name: 'training MSE', kind: shown.length > 0 ? 'faint' : 'line', points: column('mse') },
    ],
    marks:
      weighted === undefined
        ? []
        : [{ x: weighted, text: `step ${weighted.toLocaleString('en')}: timesteps are weighted from here` }],
  };
}
