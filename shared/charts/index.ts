export { lineChart } from './line-chart.js';
export type { ChartOptions, ChartSeries } from './line-chart.js';
