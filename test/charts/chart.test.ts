import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import test from 'ava';
import sharp from 'sharp';

import {
  chartPng,
  chartSvg,
  heatMapPng,
  heatMapSvg,
  type Chart,
  type Point,
  type Series,
} from '../../shared/charts/index.js';
import { LETTERS } from './letters.js';
import { programArguments } from '../programs.js';

const BLUE = [31, 90, 180] as const;

function chart(series: readonly Series[], more: Partial<Chart> = {}): Chart {
  const axes = { x: { label: 'step' }, y: { label: 'error', scale: 'log' } } as const;
  return { title: 'Loss & é', ...axes, series, width: 300, height: 150, ...more };
}

const line = (points: readonly Point[], name = 'a'): Series => ({ name, kind: 'line', points });

async function pixels(one: Chart, scale?: number) {
  return sharp(await chartPng(one, scale))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
}

async function count(one: Chart, [red, green, blue]: readonly [number, number, number]): Promise<number> {
  const { data } = await pixels(one);
  let found = 0;
  for (let n = 0; n < data.length; n += 3)
    if (data[n] === red && data[n + 1] === green && data[n + 2] === blue) found += 1;
  return found;
}

/** The paths of the SVG that are drawn with this colour. */
async function paths(one: Chart, colour = '#1f5ab4'): Promise<string[]> {
  const svg = await chartSvg(one);
  return Array.from(svg.matchAll(/<path [^>]*>/g), ([path]) => path).filter((path) => path.includes(colour));
}

const DESCENT: readonly Point[] = Array.from({ length: 60 }, (_, n) => [n + 1, 1 / (n + 1)]);

test('a chart is white, has its series in colour, and is as large as asked for', async (t) => {
  const { data, info } = await pixels(chart([line(DESCENT)]));
  t.deepEqual([...data.subarray(0, 3)], [255, 255, 255]);
  t.true((await count(chart([line(DESCENT)]), BLUE)) > 200);
  const larger = await pixels(chart([line(DESCENT)]), 2);
  t.true(Math.abs(larger.info.width - 2 * info.width) <= 2, `${larger.info.width} for 2 x ${info.width}`);
});

test('the same chart is the same text, with title, axes, legend, notes and marks', async (t) => {
  const whole = chart([line(DESCENT, 'raw'), { name: 'behind', kind: 'faint', points: DESCENT }], {
    notes: ['Lower is better.'],
    marks: [{ x: 30, text: 'from here' }],
  });
  const svg = await chartSvg(whole);
  for (const text of ['Loss &amp; é', 'step', 'error', 'raw', 'behind', 'Lower is better.', 'from here'])
    t.true(svg.includes(`>${text}<`), text);
  t.is(await chartSvg(whole), svg);
});

test('points may have names at the axis, whatever is in them, and intervals as bars', async (t) => {
  const names = ['a "b"', "c'] + alert(1)", 'd'].map((text, n) => ({ x: n + 1, text }));
  const points: readonly Point[] = [
    [1, 2],
    [2, 3],
    [3, 4],
  ];
  const intervals = points.map(([, y]) => [y - 1, y + 1] as const);
  const x = { label: 'result', names };
  const svg = await chartSvg(chart([{ name: 'a', kind: 'points', points, intervals }], { x }));
  for (const text of ['a "b"', "c'] + alert(1)", 'd']) t.true(svg.includes(`>${text}<`), text);
  t.is(svg.match(/aria-roledescription="rule mark"/g)?.length, 3, 'a bar for each point');
  t.false(
    svg.includes('fill-opacity="0.18"'),
    'no area between points that have nothing to do with each other',
  );
});

test('what cannot be drawn is a gap', async (t) => {
  const gaps = DESCENT.map(([x, y]): Point => [x, [NaN, Infinity, -1, 0][x - 20] ?? y]);
  const starts = (found: readonly string[]): number =>
    found.reduce((sum, path) => sum + (/ d="([^"]*)"/.exec(path)?.[1]?.split('M').length ?? 1) - 1, 0);
  const [whole, broken] = await Promise.all([paths(chart([line(DESCENT)])), paths(chart([line(gaps)]))]);
  t.is(starts(broken), starts(whole) + 1);
});

test('a point between two gaps, and a point alone, are seen', async (t) => {
  const lonely = DESCENT.map(([x, y]): Point => [x, x > 20 && x < 40 && x !== 30 ? NaN : y]);
  t.is((await paths(chart([line(lonely)]))).length, (await paths(chart([line(DESCENT)]))).length + 1);
  t.true((await count(chart([line([[5, 5]])]), BLUE)) > 10);
});

test('nothing, one value, huge ranges and many points can be drawn', async (t) => {
  await t.notThrowsAsync(chartPng(chart([])));
  await t.notThrowsAsync(chartPng(chart([line([])])));
  for (const scale of ['linear', 'log'] as const) {
    const huge = DESCENT.map(([x]): Point => [x, 10 ** (x * 10 - 300)]);
    await t.notThrowsAsync(chartPng(chart([line(huge)], { y: { label: 'y', scale } })));
  }
  const many = Array.from({ length: 200_000 }, (_, n): Point => [n, 1 + (n % 2)]);
  const svg = await chartSvg(chart([line(many)]));
  t.true(svg.length < 100_000, `${svg.length} characters`);
});

test('points and bars are drawn, on linear and logarithmic axes', async (t) => {
  const counts: readonly Point[] = [
    [1, 4],
    [2, 9],
    [3, 2],
  ];
  for (const kind of ['points', 'bars'] as const) {
    for (const scale of ['linear', 'log'] as const) {
      const one = chart([{ name: 'a', kind, points: counts }], { y: { label: 'count', scale } });
      // Three of the data and one of the legend.
      t.is((await paths(one)).length, 4, `${kind}, ${scale}`);
    }
  }
});

test('letters come from the fonts beside the code, not from the system', async (t) => {
  const here = await chartPng(LETTERS);
  // A machine without any font: fontconfig's own settings lead nowhere.
  const env = { ...process.env, FONTCONFIG_FILE: '/nowhere', FONTCONFIG_PATH: '/nowhere', HOME: '/nowhere' };
  const args = programArguments(import.meta.url, './letters-process');
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, encoding: 'buffer' });
  t.deepEqual(new Uint8Array(stdout), new Uint8Array(here));
  const dark = await count(LETTERS, [48, 52, 60]);
  t.true(dark > 50, `${dark} pixels of ink`);
});

test('intervals are areas behind their lines, as far as they can be drawn', async (t) => {
  const points: Point[] = [1, 2, 3, 4].map((x) => [x, x]);
  const areas = async (low: number) => {
    const series = { ...line(points), intervals: points.map(([, y]) => [low * y, 2 * y] as const) };
    return (await chartSvg(chart([series]))).match(/<path [^>]*d="(M[^"]*)"[^>]*fill-opacity="0.18"/)?.[1];
  };
  const [area, gap] = [await areas(0.5), await areas(NaN)];
  t.is(area?.match(/[ML]/g)?.length, 8, 'to the right along the upper ends, and back along the lower ones');
  t.is(gap, undefined);
  // The axis reaches to their ends, not only to those of the line.
  const wide = chart([{ ...line(points), intervals: points.map(() => [1, 900] as const) }], {
    y: { label: 'y' },
  });
  t.regex(await chartSvg(wide), />800</);
});

test('lines differ in their dashes, and the legend shows them', async (t) => {
  const lines = ['a', 'b', 'c'].map((name, n) => line([[1, n + 1], [2, n + 2]], name)); // prettier-ignore
  const dashes = (svg: string) =>
    new Set(Array.from(svg.matchAll(/stroke-dasharray="([^"]*)"/g), ([, dash]) => dash));
  const svg = await chartSvg(chart(lines));
  t.is(dashes(svg).size, 3);
  const legend = svg.slice(svg.indexOf('role-legend'));
  t.is(dashes(legend.slice(0, legend.indexOf('>c<'))).size, 3);
});

test('more lines than there are colours still look all different', async (t) => {
  const lines = Array.from({ length: 14 }, (_, n) => line([[1, n + 1], [2, n + 2]], `line ${n}`)); // prettier-ignore
  const svg = await chartSvg(chart(lines));
  const marks = svg.slice(0, svg.indexOf('role-legend'));
  const looks = Array.from(marks.matchAll(/<path [^>]*stroke="(#[^"]*)"[^>]*>/g), ([path, colour]) => [
    colour,
    /stroke-dasharray="([^"]*)"/.exec(path)?.[1],
  ]).filter(([, dash]) => dash !== undefined);
  t.is(looks.length, 14);
  t.is(new Set(looks.map((look) => look.join())).size, 14);
});

test('a heat map has a cell for each value, dark for the lowest and bright for the highest', async (t) => {
  const map = {
    ...{ title: 'Map & é', notes: ['n = 3'], x: 't', y: 'band', value: 'ratio', width: 200 },
    rows: [
      { name: 'low', points: [[0, 1], [10, 2], [30, NaN]] as Point[] }, // prettier-ignore
      { name: 'high', points: [[0, 3], [10, 4], [30, 5]] as Point[] }, // prettier-ignore
    ],
  };
  const svg = await heatMapSvg(map);
  for (const text of ['Map &amp; é', 't', 'band', 'ratio', 'low', 'high', 'n = 3'])
    t.true(svg.includes(`>${text}<`), text);
  const marks = svg.slice(svg.indexOf('mark-rect'));
  const colours = Array.from(
    marks.slice(0, marks.indexOf('</g>')).matchAll(/fill="([^"]*)"/g),
    ([, colour]) => colour,
  );
  t.is(new Set(colours).size, 5);
  const brightness = (colour = ''): number => {
    const [red = 0, green = 0, blue = 0] = (colour.match(/[0-9a-f]{2}/g) ?? []).map((part) =>
      parseInt(part, 16),
    );
    const named = (colour.match(/\d+/g) ?? []).map(Number);
    return colour.startsWith('#') ? red + green + blue : named.reduce((sum, value) => sum + value, 0);
  };
  t.true(brightness(colours[0]) < brightness(colours[4]), `${colours[0] ?? ''} and ${colours[4] ?? ''}`);
  const { width } = await sharp(await heatMapPng(map)).metadata();
  t.true(width > 200);
  t.is(await heatMapSvg(map), svg);
});

test('a centred map has one colour for the centre, whatever the other values are', async (t) => {
  const coloursOf = async (others: readonly number[], centre?: number) => {
    const points = [1, ...others].map((value, x): Point => [x, value]);
    const texts = { title: 'Map', x: 't', y: 'band', value: 'ratio', width: 200 };
    const svg = await heatMapSvg({ ...texts, rows: [{ name: 'a', points }], ...(centre && { centre }) });
    const marks = svg.slice(svg.indexOf('mark-rect'));
    return Array.from(marks.slice(0, marks.indexOf('</g>')).matchAll(/fill="([^"]*)"/g), ([, fill]) => fill);
  };
  const [below, above] = [await coloursOf([0.5, 0.9], 1), await coloursOf([1.2, 3], 1)];
  t.is(below[0], above[0]);
  t.not((await coloursOf([0.5, 0.9]))[0], (await coloursOf([1.2, 3]))[0], 'without a centre it has not');
  t.is(new Set([...below, ...above]).size, 5);
  t.is((await coloursOf([1], 1))[0], below[0], 'a map of the centre alone');
});
