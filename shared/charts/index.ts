export { chartPng, chartSvg, heatMapPng, heatMapSvg } from './draw.js';
export type { Axis, Chart, HeatMap, Interval, Mark, Point, Series, SeriesKind } from './chart.js';
