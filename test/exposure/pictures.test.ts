/** Results as pictures, a table and a page. */
import test from 'ava';
import {
  captionOf,
  pictureOf,
  reportHtml,
  resultsCsv,
  type Figure,
  type MeasureResult,
} from '../../shared/exposure/index.js';

const curve = (name: string, value: number) => ({
  name,
  points: [0, 500, 999].map((x) => ({ x, value, low: value - 0.1, high: value + 0.1 })),
});
const plain: Figure = { name: 'ratio', title: 'A ratio', x: 't', y: 'ratio', curves: [curve('a, "b"', 0.9)] };
const lines: Figure = { ...plain, ideal: 1 };
const map: Figure = {
  ...lines,
  name: 'map',
  y: 'band',
  map: true,
  curves: [curve('low', 0.9), curve('high', 1.1)],
};

const result: MeasureResult = {
  measure: 'energy_ratio',
  help: 'what <it> measures',
  ...{ images: 20, seed: '3', steps: 4, level: 0.95, settings: { bands: 2 } },
  sampler: { sampler: 'ddim', steps: 4, eta: 0.5, epsilonScaling: { k: 0, b: 1.01 } },
  figures: [lines, map],
  findings: [{ name: 'the last', value: 0.91234567, low: 0.8, high: 1, ideal: 1 }],
  notes: ['Trajectories & more.'],
};

test('a caption says what a reader needs to compare it', (t) => {
  t.deepEqual(captionOf(result), [
    'n = 20 images, 4 steps, ddim, eta 0.5, epsilonScaling {"k":0,"b":1.01}, seed 3',
    'bootstrap intervals at 95 %, bands 2',
  ]);
  const [, limited] = captionOf({ ...result, settings: { images: 100, timesteps: 5 } });
  t.is(
    limited,
    'bootstrap intervals at 95 %, timesteps 5',
    'the limit of a measure is not what it looked at',
  );
});

test('lines have their intervals and the ideal, a map its rows; points, marks and a logarithmic axis are drawn', async (t) => {
  const svg = await pictureOf(lines, ['a note']).svg();
  for (const part of ['>A ratio<', '>a note<', '>ideal<', 'fill-opacity="0.18"'])
    t.true(svg.includes(part), part);
  const rows = await pictureOf(map, []).svg();
  for (const part of ['>low<', '>high<', '>band<']) t.true(rows.includes(part), part);
  const marks = [{ x: 300, text: 'half-way' }];
  const scatter = await pictureOf({ ...plain, scatter: true, logarithmic: true, marks }, []).svg();
  t.true(scatter.includes('>half-way<') && !scatter.includes('aria-roledescription="line mark"'));
  t.regex(scatter, /aria-label="Y-axis[^"]*log scale/);
  t.deepEqual([...(await pictureOf(lines, []).png(1)).subarray(1, 4)], [...Buffer.from('PNG')]);
});

test('the table has each number once, and quotes names', (t) => {
  const [heading, first, ...others] = resultsCsv([result]).trimEnd().split('\n');
  t.is(heading, 'measure,figure,curve,x,value,low,high,ideal,images,steps,seed');
  t.is(first, 'energy_ratio,ratio,"a, ""b""",0,0.9,0.8,1,1,20,4,3');
  t.is(others.length, 3, 'two more points and a finding; a map repeats what lines show');
  t.is(others[2], 'energy_ratio,finding,the last,,0.91234567,0.8,1,1,20,4,3');
});

test('a page holds its pictures, and nothing from outside becomes a part of it', async (t) => {
  const page = await reportHtml({ title: 'Of <model>', facts: [['images', '<script>alert(1)</script>']] }, [
    result,
  ]);
  t.is(page.match(/<svg/g)?.length, 2);
  t.false(page.includes('<script>') || page.includes('<model>') || page.includes('what <it>'));
  for (const part of ['0.9123', '0.8 to 1', 'n = 20 images', 'Trajectories &#38; more.'])
    t.true(page.includes(part), part);
  t.false(/(?:src|href)="(?!#|data:)/.test(page), 'it needs no other file');
  t.false(page.includes('<img'));
  const pictures = [{ name: 'of <b>', images: 2, png: 'AAAA"><script>' }];
  const withImages = await reportHtml({ title: 'x', facts: [] }, [{ ...result, pictures }]);
  t.regex(
    withImages,
    /<th>of &#60;b&#62;<\/th><td><img alt="of &#60;b&#62;" src="data:image\/png;base64,AAAA&#34;/,
  );
  t.false(withImages.includes('<script>'));
});
