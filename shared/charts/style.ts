/** What all pictures have in common. */

export const INK = '#30343c';
export const GREY = '#8a9099';
const FONT = 'Inter';
const GRID = '#e6e8ec';

export const FRAME = {
  ...{ background: 'white', padding: 20 },
  title: { anchor: 'start', frame: 'group', offset: 14, color: INK },
} as const;

/** @param legend What only this kind of picture says of its legend. */
export function styleOf<Legend extends object>(legend: Legend) {
  return {
    font: FONT,
    view: { stroke: null },
    title: { fontSize: 17, fontWeight: 600, subtitleFontSize: 12, subtitleColor: GREY, subtitlePadding: 6 },
    axis: {
      labelFontSize: 12,
      labelColor: INK,
      titleFontSize: 12,
      titleFontWeight: 400,
      titleColor: GREY,
      gridColor: GRID,
      domainColor: GREY,
      tickColor: GREY,
      titlePadding: 10,
      labelFlush: false,
    },
    legend: {
      labelFontSize: 12,
      labelColor: INK,
      labelLimit: 0,
      titleFontSize: 12,
      titleFontWeight: 400,
      ...legend,
    },
  } as const;
}
