import test from 'ava';

import { lossChart } from '../../services/cli/demo/loss-chart.js';

const row = (step: number, more: Record<string, number>): Map<string, number> =>
  new Map(Object.entries({ step, mse: 1 / step, evaluation_mse: NaN, evaluation_ema_mse: NaN, ...more }));

test('the evaluations are the main curves, and the training loss stands behind them', (t) => {
  const chart = lossChart('m', [row(1, {}), row(2, { evaluation_mse: 0.5, evaluation_ema_mse: 0.4 })]);
  t.deepEqual(
    chart.series.map(({ name, kind, points }) => [name, kind, points]),
    [
      ['evaluation MSE, EMA weights', 'line', [[2, 0.4]]],
      ['evaluation MSE, raw weights', 'line', [[2, 0.5]]],
      [
        'training MSE',
        'faint',
        [
          [1, 1],
          [2, 0.5],
        ],
      ],
    ],
  );
  t.deepEqual(chart.marks, []);
});

test('without evaluations the training loss is the curve', (t) => {
  const { series, notes } = lossChart('m', [row(1, {})]);
  t.deepEqual(
    series.map(({ name, kind }) => [name, kind]),
    [['training MSE', 'line']],
  );
  t.regex(notes?.join() ?? '', /No evaluation/);
});

test('the first step with weighted timesteps is marked and explained', (t) => {
  const weighted = { timesteps_weighted: 1 };
  const rows = [row(1, { timesteps_weighted: 0 }), row(1780, weighted), row(1781, weighted)];
  const { marks, notes } = lossChart('m', rows);
  t.deepEqual(marks, [{ x: 1780, text: 'step 1,780: timesteps are weighted from here' }]);
  t.regex(notes?.join() ?? '', /The model did not get worse/);
});
