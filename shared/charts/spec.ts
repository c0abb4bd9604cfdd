/** A chart -> what Vega-Lite draws. */
import type { TopLevelSpec } from 'vega-lite';
import { at } from '../foundation/index.js';
import type { Axis, Chart, Mark, Series, SeriesKind } from './chart.js';
import { drawable, rangeOf, shownApart, type Datum } from './points.js';
import { FRAME, GREY, INK, styleOf } from './style.js';

type Layer = Extract<TopLevelSpec, { readonly layer: unknown }>['layer'][number];

const FAINT = '#c3cad6';
const COLOURS = ['#1f5ab4', '#d66014', '#1e8c50', '#963ca0', '#b0283c', '#5a6470'];

/** Lines of one picture differ in this too, so that they can be told apart in grey. */
const REFERENCE_DASH = [4, 3];
const DASHES = [
  [1, 0],
  [7, 3],
  [2, 2],
  [8, 3, 2, 3],
  [12, 4],
  [4, 2, 1, 2],
];

/** How a kind of series is drawn; `scale` gives each series its colour. */
const KINDS: Readonly<Record<SeriesKind, (data: readonly Datum[], base: object, floor: number) => Layer[]>> =
  {
    line: (data, base) => [
      {
        ...base,
        ...values(data),
        mark: { type: 'line', strokeWidth: 2.2, strokeJoin: 'round' },
      },
      { ...base, ...values(shownApart(data)), mark: { type: 'point', filled: true, size: 28, opacity: 1 } },
    ],
    faint: (data, base) => [
      { ...base, ...values(data), mark: { type: 'line', strokeWidth: 1, strokeJoin: 'round' } },
      { ...base, ...values(shownApart(data)), mark: { type: 'point', filled: true, size: 12, opacity: 1 } },
    ],
    reference: (data, base) => [{ ...base, ...values(data), mark: { type: 'line', strokeWidth: 1.4 } }],
    points: (data, base) => [
      { ...base, ...values(data), mark: { type: 'point', filled: true, size: 24, opacity: 0.6 } },
    ],
    bars: (data, base, floor) => {
      const distances = data.slice(1).map(({ x }, n) => x - at(data, n).x);
      const width = distances.length === 0 ? 1 : Math.min(...distances);
      const bars = data.map(({ x, y }) => ({ from: x - width / 2, to: x + width / 2, y, floor }));
      return [{ ...base, ...values(bars), mark: { type: 'rect', opacity: 0.6 } }];
    },
  };

export function chartSpec({ title, notes = [], x, y, series, marks = [], ...size }: Chart): TopLevelSpec {
  const drawn = series.map((one) => {
    const end = (which: 0 | 1): Datum[] =>
      drawable(
        (one.intervals ?? []).map((interval, n) => [at(one.points, n)[0], interval[which]]),
        x,
        y,
      );
    return { ...one, data: drawable(one.points, x, y), lows: end(0), highs: end(1) };
  });
  const { width = 840, height = 420 } = size;
  const areas = drawn.flatMap((one) => [one.lows, one.highs]).flat();
  const data = drawn.flatMap((one) => one.data);
  const bars = series.some(({ kind }) => kind === 'bars');
  const isFilled = series.every(({ kind }) => kind === 'bars' || kind === 'points');
  const ys = [
    ...[...data, ...areas].flatMap((datum) => (datum.y === null ? [] : [datum.y])),
    ...(bars && y.scale !== 'log' ? [0] : []),
  ];
  const xs = data.map((datum) => datum.x);
  const margin = bars || x.names !== undefined ? 0.05 : 0.01;
  const xScale = scaleOf(x, rangeOf([...xs, ...marks.map((mark) => mark.x)], x, margin));
  const yScale = scaleOf(y, rangeOf(ys, y, 0.04));
  const channels = (kind: SeriesKind) => ({
    ...(kind === 'bars'
      ? { x: { ...quantity('from', x, xScale) }, x2: { field: 'to' }, y2: { field: 'floor' } }
      : { x: quantity('x', x, xScale) }),
    y: quantity('y', y, yScale),
  });
  return {
    ...{ ...FRAME, width, height },
    title: { ...FRAME.title, text: title, subtitle: [...notes] },
    layer: [
      ...drawingOrder(drawn).flatMap(({ name, kind, data: points, lows, highs }) => {
        const color = { datum: name, scale: coloursOf(series), title: null };
        const strokeDash = { datum: name, scale: dashesOf(series), legend: null };
        const hasDash = kind === 'line' || kind === 'reference';
        const encoding = { ...channels(kind), color, ...(hasDash && { strokeDash }) };
        return [
          ...intervalLayer(kind, lows, highs, {
            x: quantity('x', x, xScale),
            color,
            y: quantity('low', y, yScale),
            y2: { field: 'high' },
          }),
          ...KINDS[kind](points, { encoding }, y.scale === 'log' ? yScale.domain[0] : 0),
        ];
      }),
      ...marks.flatMap((mark) => markLayers(mark, x, xScale)),
    ],
    config: styleOf({
      ...{ orient: 'top', direction: 'horizontal', symbolType: isFilled ? 'square' : 'stroke' },
      ...{ symbolStrokeWidth: 3, symbolSize: 200, columnPadding: 18, offset: 10 },
    }),
  };
}

/** Later series lie below earlier ones, and references above all. */
function drawingOrder<T extends Series>(series: readonly T[]): T[] {
  const isReference = ({ kind }: Series): boolean => kind === 'reference';
  return [...series.filter((one) => !isReference(one)).reverse(), ...series.filter(isReference)];
}

function intervalLayer(
  kind: SeriesKind,
  lows: readonly Datum[],
  highs: readonly Datum[],
  encoding: object,
): Layer[] {
  const data = lows.flatMap(({ x, y: low }, n) => {
    const high = highs[n]?.y ?? null;
    return low === null || high === null ? [] : [{ x, low, high }];
  });
  if (data.length === 0) return [];
  const mark =
    kind === 'points'
      ? ({ type: 'rule', strokeWidth: 1.6, opacity: 0.6 } as const)
      : ({ type: 'area', opacity: 1, fillOpacity: 0.18 } as const);
  return [{ encoding, ...values(data), mark }];
}

interface Scale {
  readonly type: 'linear' | 'log';
  readonly domain: [number, number];
  readonly nice: false;
  readonly zero?: false;
}

function scaleOf({ scale = 'linear' }: Axis, domain: [number, number]): Scale {
  return { type: scale, domain, nice: false, ...(scale === 'linear' && { zero: false }) };
}

function quantity(field: string, { label, names }: Axis, scale: Scale) {
  const axis =
    names === undefined
      ? ({ format: formatOf(scale), tickCount: 8, labelOverlap: 'greedy' } as const)
      : namedAxis(names);
  return { field, type: 'quantitative', title: label, scale, axis } as const;
}

const LONGEST_NAME = 240;
/** With more names than this, or longer ones, they are drawn at an angle. */
const LEVEL_NAMES = 6;
const LEVEL_LETTERS = 60;

function namedAxis(names: readonly Mark[]) {
  const texts = Object.fromEntries(
    names.map(({ x, text }) => [String(x), text.replace(/[\u2028\u2029]/g, ' ')]),
  );
  const letters = names.reduce((sum, { text }) => sum + text.length, 0);
  const isAslant = names.length > LEVEL_NAMES || letters > LEVEL_LETTERS;
  return {
    values: names.map(({ x }) => x),
    // JSON without these separators of lines is a literal of Vega's expressions too, so that no name can add to one.
    labelExpr: `(${JSON.stringify(texts)})[datum.value]`,
    labelLimit: LONGEST_NAME,
    grid: false,
    ...(isAslant && { labelAngle: -30, labelAlign: 'right' as const }),
  } as const;
}

/** Thousands apart; powers of ten where plain numbers would be long. */
function formatOf({ domain: [low, high] }: Scale): string {
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const smallest = low > 0 ? low : largest;
  return largest >= 1e7 || smallest < 1e-4 ? '~e' : ',~r';
}

function coloursOf(series: readonly Series[]) {
  let next = 0;
  const fixed: Partial<Record<SeriesKind, string>> = { faint: FAINT, reference: INK };
  const range = series.map(({ kind }) => fixed[kind] ?? at(COLOURS, next++ % COLOURS.length));
  return { domain: series.map(({ name }) => name), range };
}

function dashesOf(series: readonly Series[]) {
  let next = 0;
  const solid = at(DASHES, 0);
  const range = series.map(({ kind }) => {
    if (kind === 'reference') return REFERENCE_DASH;
    return kind === 'line' ? dashOf(next++) : solid;
  });
  return { domain: series.map(({ name }) => name), range };
}

/** Where the colours begin again, the dashes are other ones: of 36 lines no two look the same. */
function dashOf(line: number): number[] {
  return at(DASHES, (line + Math.floor(line / COLOURS.length)) % DASHES.length);
}

function markLayers({ x, text }: Mark, axis: Axis, scale: Scale): Layer[] {
  const [low, high] = scale.domain;
  const place = scale.type === 'log' ? Math.log(x / low) / Math.log(high / low) : (x - low) / (high - low);
  // On the side that has more room.
  const side = place > 0.5 ? ({ align: 'right', dx: -6 } as const) : ({ align: 'left', dx: 6 } as const);
  const base = { ...values([{ x }]), encoding: { x: quantity('x', axis, scale) } };
  return [
    { ...base, mark: { type: 'rule', color: GREY, strokeDash: [4, 3] } },
    { ...base, mark: { type: 'text', text, y: 8, fontSize: 12, color: INK, ...side } },
  ];
}

function values(data: readonly object[]) {
  return { data: { values: [...data] } };
}
