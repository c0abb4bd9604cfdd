/** What a chart is: plain data. */

/** x and y. A point whose y can't be drawn (not finite, or not above 0 on a logarithmic axis) is a gap in a line. */
export type Point = readonly [x: number, y: number];

/**
 * How a series is drawn: `line` for what the reader is to see, `faint` for a line behind it, `reference` for a value with which
 * the others are compared (dashed, above them), `points` for a scatter,
 * `bars` for a histogram (x is the middle of each bar, all as wide as the smallest distance between two).
 */
export type SeriesKind = 'line' | 'faint' | 'reference' | 'points' | 'bars';

export interface Series {
  /** In the legend; no two series of a chart share one. */
  readonly name: string;
  readonly kind: SeriesKind;
  /** By rising x. */
  readonly points: readonly Point[];
  /** From where to where each point may be: an area behind a line, a bar through a point of a scatter. */
  readonly intervals?: readonly Interval[];
}

export type Interval = readonly [low: number, high: number];

export interface Axis {
  readonly label: string;
  /** Default linear. */
  readonly scale?: 'linear' | 'log';
  /** Names that stand at the axis in the place of numbers, each at its x. */
  readonly names?: readonly Mark[];
}

/** A text at an x: as a mark of the chart, beside a dashed vertical line. */
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

/** Values by x and row, as colours: dark for the lowest, bright for the highest, so that it can be read in grey. */
export interface HeatMap {
  readonly title: string;
  readonly notes?: readonly string[];
  readonly x: string;
  readonly y: string;
  /** What the colours are of. */
  readonly value: string;
  /** The value in the middle of the colours, which then reach as far below it as above. */
  readonly centre?: number;
  /** By rising x, which all rows share; drawn with the first at the bottom. */
  readonly rows: readonly { readonly name: string; readonly points: readonly Point[] }[];
  /** Default 840. */
  readonly width?: number;
}
