import type { Chart } from '../../shared/charts/index.js';

export const LETTERS: Chart = {
  title: 'Letters',
  x: { label: 'step' },
  y: { label: 'error' },
  series: [],
  width: 300,
  height: 150,
};
