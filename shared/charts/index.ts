export { chartPng, chartSvg } from './draw.js';
export type { Axis, Chart, Mark, Point, Series, SeriesKind } from './chart.js';
