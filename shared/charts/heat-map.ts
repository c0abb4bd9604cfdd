/** A heat map -> what Vega-Lite draws. */
import type { TopLevelSpec } from 'vega-lite';
import { at } from '../foundation/index.js';
import type { HeatMap } from './chart.js';
import { FRAME, styleOf } from './style.js';

const ROW_HEIGHT = 36;
/** Of a centred map's colours, where all values are the centre. */
const LEAST_REACH = 1e-6;

export function heatMapSpec(map: HeatMap): TopLevelSpec {
  const { title, notes = [], x, y, value, rows, width = 840 } = map;
  const names = rows.map(({ name }) => name);
  const cells = rows.flatMap(({ name, points }) =>
    points.map(([at_, shown], n) => {
      const middle = (other: number): number => (at_ + at(points, other)[0]) / 2;
      return {
        row: name,
        value: shown,
        from: n === 0 ? at_ : middle(n - 1),
        to: n === points.length - 1 ? at_ : middle(n + 1),
      };
    }),
  );
  return {
    ...{ ...FRAME, width, height: ROW_HEIGHT * rows.length },
    title: { ...FRAME.title, text: title, subtitle: [...notes] },
    data: { values: cells.filter(({ value: shown }) => Number.isFinite(shown)) },
    mark: { type: 'rect' },
    encoding: {
      x: { field: 'from', type: 'quantitative', title: x, scale: { nice: false, zero: false } },
      x2: { field: 'to' },
      y: { field: 'row', type: 'nominal', title: y, sort: [...names].reverse() },
      color: {
        ...{ field: 'value', type: 'quantitative', title: value, scale: coloursOf(map) },
        legend: {
          orient: 'right',
          gradientLength: Math.max(ROW_HEIGHT * rows.length - 20, 80),
          titleLimit: 0,
        },
      },
    },
    config: styleOf({ orient: 'right' }),
  };
}

/** One scheme, which grows brighter throughout: so a centred map can be read in grey too. */
function coloursOf({ rows, centre }: HeatMap) {
  const scheme = 'viridis' as const;
  if (centre === undefined) return { scheme };
  const distances = rows.flatMap(({ points }) => points.map(([, shown]) => Math.abs(shown - centre)));
  const reach = Math.max(LEAST_REACH, ...distances.filter(Number.isFinite));
  return { scheme, domain: [centre - reach, centre + reach] };
}
