/** Curves over training steps -> a picture, drawn without fonts, SVG or a browser. */
import { at } from '../foundation/index.js';
import { linearAxis, logAxis } from './axis.js';
import type { Axis } from './axis.js';
import { createCanvas } from './canvas.js';
import type { Canvas, Colour } from './canvas.js';
import { encodeImage } from '../images/index.js';
import type { Point } from './glyphs.js';

export interface ChartSeries {
  readonly name: string;
  /** x and y; points that aren't finite are left out, as are those not above 0 on a logarithmic axis. */
  readonly points: readonly Point[];
}

export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  /** In pixels; default 960. */
  readonly width?: number;
  /** In pixels; default 540. */
  readonly height?: number;
  /** Whether y is drawn by its logarithm; default false. */
  readonly logY?: boolean;
}

const COLOURS: readonly Colour[] = [
  [31, 90, 180],
  [214, 96, 20],
  [30, 140, 80],
  [150, 60, 160],
  [120, 120, 120],
];
const INK: Colour = [60, 64, 72];
const GRID: Colour = [228, 230, 234];
const MARGIN = { left: 80, right: 24, top: 56, bottom: 56 };
const LETTER_HEIGHT = 9;
const TITLE_HEIGHT = 13;

/** The share of a curve's points that its bold line averages over. */
const SMOOTHING_SHARE = 1 / 40;

/** Draws each series twice, faint as it is and bold as its running mean, with axes and a legend, as a PNG. */
export async function lineChart(series: readonly ChartSeries[], options: ChartOptions): Promise<Uint8Array> {
  const { title, xLabel, width = 960, height = 540, logY = false } = options;
  const drawable = series.map(({ name, points }) => ({
    name,
    points: points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y) && (!logY || y > 0)),
  }));
  const all = drawable.flatMap(({ points }) => points);
  const plot = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  const xAxis = linearAxis(
    all.map(([x]) => x),
    8,
  );
  const yAxis = (logY ? logAxis : linearAxis)(
    all.map(([, y]) => y),
    6,
  );
  const toX = (x: number) => MARGIN.left + xAxis.place(x) * plot.width;
  const toY = (y: number) => MARGIN.top + (1 - yAxis.place(y)) * plot.height;

  const canvas = createCanvas(width, height);
  canvas.text(title, [MARGIN.left, MARGIN.top / 2], { colour: INK, height: TITLE_HEIGHT, stroke: 1.9 });
  drawAxes(canvas, xAxis, yAxis, toX, toY);
  canvas.text(xLabel, [MARGIN.left + plot.width / 2, height - 14], {
    colour: INK,
    height: LETTER_HEIGHT,
    align: 'centre',
  });
  for (const [index, { points }] of drawable.entries()) {
    const colour = at(COLOURS, index % COLOURS.length);
    const place = ([x, y]: Point): Point => [toX(x), toY(y)];
    if (points.length === 0) continue;
    canvas.line(points.map(place), { colour, width: 1, opacity: 0.3 });
    canvas.line(smoothed(points).map(place), { colour, width: 2.2 });
  }
  drawLegend(
    canvas,
    drawable.map(({ name }) => name),
  );
  return encodeImage(canvas.pixels, { width, height, channels: 3 }, 'png');
}

function drawAxes(
  canvas: Canvas,
  xAxis: Axis,
  yAxis: Axis,
  toX: (x: number) => number,
  toY: (y: number) => number,
): void {
  const [left, right] = [MARGIN.left, canvas.width - MARGIN.right];
  const bottom = canvas.height - MARGIN.bottom;
  for (const { value, label } of yAxis.ticks) {
    const y = Math.round(toY(value)) + 0.5;
    canvas.line(
      [
        [left, y],
        [right, y],
      ],
      { colour: GRID, width: 1 },
    );
    canvas.text(label, [left - 10, y], { colour: INK, height: LETTER_HEIGHT, align: 'right' });
  }
  for (const { value, label } of xAxis.ticks) {
    const x = Math.round(toX(value)) + 0.5;
    canvas.line(
      [
        [x, bottom],
        [x, bottom + 5],
      ],
      { colour: INK, width: 1 },
    );
    canvas.text(label, [x, bottom + 16], { colour: INK, height: LETTER_HEIGHT, align: 'centre' });
  }
  canvas.line(
    [
      [left + 0.5, MARGIN.top],
      [left + 0.5, bottom + 0.5],
      [right, bottom + 0.5],
    ],
    { colour: INK, width: 1 },
  );
}

// From the right, so that the legend ends where the plot does.
function drawLegend(canvas: Canvas, names: readonly string[]): void {
  let right = canvas.width - MARGIN.right;
  const y = MARGIN.top / 2;
  for (const [index, name] of [...names.entries()].reverse()) {
    right -= canvas.text(name, [right, y], { colour: INK, height: LETTER_HEIGHT, align: 'right' }) + 8;
    canvas.line(
      [
        [right - 18, y],
        [right, y],
      ],
      { colour: at(COLOURS, index % COLOURS.length), width: 3 },
    );
    right -= 36;
  }
}

// An exponential mean that weighs its first points fully, so that the bold line begins where the faint one does.
function smoothed(points: readonly Point[]): Point[] {
  const keep = 1 - 1 / Math.max(1, points.length * SMOOTHING_SHARE);
  let sum = 0;
  let weight = 0;
  return points.map(([x, y]): Point => {
    sum = keep * sum + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    return [x, sum / weight];
  });
}
