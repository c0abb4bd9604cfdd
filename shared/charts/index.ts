export { chartPng, chartSvg } from './chart.js';
export type { Axis, Chart, Mark, Point, Series, SeriesKind } from './chart.js';
