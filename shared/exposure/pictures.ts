/** Figures as pictures. */
import {
  chartPng,
  chartSvg,
  heatMapPng,
  heatMapSvg,
  type Chart,
  type HeatMap,
  type Point,
} from '../charts/index.js';
import type { Figure, MeasureResult } from './result.js';

export interface Picture {
  /** The same for the same figure. */
  svg(): Promise<string>;
  /** @param scale Pixels a unit. */
  png(scale: number): Promise<Uint8Array>;
}

/** @param notes Lines below the title: what a reader must know to compare it. */
export function pictureOf(figure: Figure, notes: readonly string[]): Picture {
  if (figure.map === true) {
    const map = mapOf(figure, notes);
    return { svg: () => heatMapSvg(map), png: (scale) => heatMapPng(map, scale) };
  }
  const chart = chartOf(figure, notes);
  return { svg: () => chartSvg(chart), png: (scale) => chartPng(chart, scale) };
}

/** Images, steps, sampler, seed and settings, in two lines. */
export function captionOf(result: MeasureResult): string[] {
  const { images, steps, sampler, seed, settings, level } = result;
  // Without a measure's own limit of images: n says how many it looked at.
  const shown = Object.fromEntries(Object.entries(settings).filter(([name]) => name !== 'images'));
  const others = Object.entries(sampler).filter(([key]) => key !== 'sampler' && key !== 'steps');
  const values = (of: object): string[] =>
    Object.entries(of).map(
      ([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
    );
  const first = [
    `n = ${images} images`,
    // Nothing was sampled where there are no steps.
    ...(steps === 0 ? [] : [`${steps} steps`, sampler.sampler, ...values(Object.fromEntries(others))]),
    `seed ${seed}`,
  ];
  const second = [`bootstrap intervals at ${100 * level} %`, ...values(shown)];
  return [first.join(', '), second.join(', ')];
}

function chartOf(
  { title, x, y, ideal, curves, scatter, logarithmic, marks = [] }: Figure,
  notes: readonly string[],
): Chart {
  const xs = curves.flatMap(({ points }) => points.map((point) => point.x));
  const ends = [Math.min(...xs), Math.max(...xs)];
  const series = curves.map(({ name, points }) => ({
    ...{ name, kind: scatter === true ? ('points' as const) : ('line' as const) },
    points: points.map((point): Point => [point.x, point.value]),
    intervals: points.map(({ low, high }) => [low, high] as const),
  }));
  const line = ideal !== undefined && xs.length > 0;
  return {
    ...{
      title,
      notes,
      marks: scatter === true ? [] : marks,
      x: { label: x, ...(scatter === true && marks.length > 0 && { names: marks }) },
      y: { label: y, ...(logarithmic && { scale: 'log' as const }) },
    },
    series: [
      ...series,
      ...(line
        ? [{ name: 'ideal', kind: 'reference' as const, points: ends.map((end): Point => [end, ideal]) }]
        : []),
    ],
  };
}

function mapOf({ title, x, y, ideal, curves }: Figure, notes: readonly string[]): HeatMap {
  const rows = curves.map(({ name, points }) => ({
    name,
    points: points.map((point): Point => [point.x, point.value]),
  }));
  return { title, notes, x, y, value: 'ratio', rows, ...(ideal !== undefined && { centre: ideal }) };
}
