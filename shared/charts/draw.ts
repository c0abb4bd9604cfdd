/** Series of points -> a picture. */
import { drawingToPng } from '../images/index.js';
import type { Spec } from 'vega';
import type { TopLevelSpec } from 'vega-lite';
import type { Chart, HeatMap } from './chart.js';
import { heatMapSpec } from './heat-map.js';
import { chartSpec } from './spec.js';

declare module 'vega' {
  /** How wide a text is taken to be. Exported, and missing in its types. */
  const textMetrics: { width: (item: { readonly fontSize?: number }, text: unknown) => number };
}

/** Of the font's size; Vega's own estimate, 0.8, leaves gaps. */
const MEAN_LETTER_WIDTH = 0.57;

/** The chart as SVG; the same chart gives the same text. Letters need the font Inter. */
export async function chartSvg(chart: Chart): Promise<string> {
  return drawnSvg(chartSpec(chart));
}

/** The map as SVG; the same map gives the same text. */
export async function heatMapSvg(map: HeatMap): Promise<string> {
  return drawnSvg(heatMapSpec(map));
}

async function drawnSvg(spec: TopLevelSpec): Promise<string> {
  // Loaded where a chart is drawn, and by nobody else: they take a tenth of a second and 30 MB.
  const [{ compile }, { None, parse, resetSVGDefIds, textMetrics, View }] = await Promise.all([
    import('vega-lite'),
    import('vega'),
  ]);
  textMetrics.width = ({ fontSize = 11 }, text) => MEAN_LETTER_WIDTH * fontSize * String(text).length;
  const view = new View(parse(withDashes(compile(spec).spec)), { renderer: 'none', logLevel: None });
  try {
    // Numbers gradients from 0 again.
    resetSVGDefIds();
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** The legend of colours shows the dashes too; Vega-Lite would put a second legend beside it. */
function withDashes(spec: Spec): Spec {
  if (spec.scales?.some(({ name }) => name === 'strokeDash') !== true) return spec;
  const strokeDash = { scale: 'strokeDash', field: 'value' };
  const legends = (spec.legends ?? []).map((legend) => ({
    ...legend,
    encode: {
      ...legend.encode,
      symbols: { ...legend.encode?.symbols, update: { ...legend.encode?.symbols?.update, strokeDash } },
    },
  }));
  return { ...spec, legends };
}

/**
 * The chart as a PNG.
 * @param scale Pixels a unit.
 * @throws DiffusionError as `drawingToPng` does.
 */
export async function chartPng(chart: Chart, scale = 1): Promise<Uint8Array> {
  return drawingToPng(await chartSvg(chart), scale);
}

/** The map as a PNG. @throws DiffusionError as `drawingToPng` does. */
export async function heatMapPng(map: HeatMap, scale = 1): Promise<Uint8Array> {
  return drawingToPng(await heatMapSvg(map), scale);
}
