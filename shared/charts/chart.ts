/** Series of points -> a picture. */
import { drawingToPng } from '../images/index.js';
import { chartSpec } from './spec.js';

declare module 'vega' {
  /** How wide a text is taken to be. Exported, and missing in its types. */
  const textMetrics: { width: (item: { readonly fontSize?: number }, text: unknown) => number };
}

/** Of the font's size; Vega's own estimate, 0.8, leaves gaps. */
const MEAN_LETTER_WIDTH = 0.57;

/** x and y. A point whose y can't be drawn (not finite, or not above 0 on a logarithmic axis) is a gap in a line. */
export type Point = readonly [x: number, y: number];

/**
 * How a series is drawn: `line` for what the reader is to see, `faint` for a line behind it, `points` for a scatter,
 * `bars` for a histogram (x is the middle of each bar, all as wide as the smallest distance between two).
 */
export type SeriesKind = 'line' | 'faint' | 'points' | 'bars';

export interface Series {
  /** In the legend; no two series of a chart share one. */
  readonly name: string;
  readonly kind: SeriesKind;
  /** By rising x. */
  readonly points: readonly Point[];
}

export interface Axis {
  readonly label: string;
  /** Default linear. */
  readonly scale?: 'linear' | 'log';
}

/** A dashed vertical line with a text beside it. */
export interface Mark {
  readonly x: number;
  readonly text: string;
}

export interface Chart {
  readonly title: string;
  /** Lines of smaller text below the title. */
  readonly notes?: readonly string[];
  readonly x: Axis;
  readonly y: Axis;
  /** In the order of the legend; later ones are drawn below earlier ones. */
  readonly series: readonly Series[];
  readonly marks?: readonly Mark[];
  /** Of the plot between the axes, in units; default 840. */
  readonly width?: number;
  /** Default 420. */
  readonly height?: number;
}

/** The chart as SVG; the same chart gives the same text. Letters need the font Inter. */
export async function chartSvg(chart: Chart): Promise<string> {
  // Loaded where a chart is drawn, and by nobody else: they take a tenth of a second and 30 MB.
  const [{ compile }, { None, parse, textMetrics, View }] = await Promise.all([
    import('vega-lite'),
    import('vega'),
  ]);
  textMetrics.width = ({ fontSize = 11 }, text) => MEAN_LETTER_WIDTH * fontSize * String(text).length;
  const view = new View(parse(compile(chartSpec(chart)).spec), { renderer: 'none', logLevel: None });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/**
 * The chart as a PNG.
 * @param scale Pixels a unit.
 * @throws DiffusionError as `drawingToPng` does.
 */
export async function chartPng(chart: Chart, scale = 1): Promise<Uint8Array> {
  return drawingToPng(await chartSvg(chart), scale);
}
