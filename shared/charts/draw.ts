/** Series of points -> a picture. */
import { drawingToPng } from '../images/index.js';
import type { Chart } from './chart.js';
import { chartSpec } from './spec.js';

declare module 'vega' {
  /** How wide a text is taken to be. Exported, and missing in its types. */
  const textMetrics: { width: (item: { readonly fontSize?: number }, text: unknown) => number };
}

/** Of the font's size; Vega's own estimate, 0.8, leaves gaps. */
const MEAN_LETTER_WIDTH = 0.57;

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
