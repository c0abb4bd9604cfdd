/**
 * Letters as strokes, so that charts have labels on machines without fonts.
 *
 * A glyph is a list of strokes parted by spaces; a stroke is a list of points, each two digits x and y on a grid with
 * y downwards: capitals stand from 0 to 6, small letters from 2 to 6, descenders reach 8. One point alone is a dot.
 */

const BOWL = '4332120305163645';
const OPEN_BOWL = '0312324345361605';
const RING = '103041453616050110';
const HEAD = '06003041423303';

const GLYPHS: Readonly<Record<string, string>> = {
  '0': RING,
  '1': '112026 1636',
  '2': '01103041420646',
  '3': '0110304142334445361605 1333',
  '4': '36300444',
  '5': '400002324345361605',
  '6': '413010010516364544331304',
  '7': '004016',
  '8': '103041423313020110 1304051636454433',
  '9': '051636454130100102133342',
  a: `4246 ${BOWL}`,
  b: `0006 ${OPEN_BOWL}`,
  c: BOWL,
  d: `4046 ${BOWL}`,
  e: '04444332120305163645',
  f: '30201116 0232',
  g: `4247381807 ${BOWL}`,
  h: '0006 0312324346',
  i: '0206 00',
  j: '121708 10',
  k: '0006 320436',
  l: '0006',
  m: '0206 0312223336 3342526366',
  n: '0206 0312324346',
  o: '123243453616050312',
  p: `0208 ${OPEN_BOWL}`,
  q: `4248 ${BOWL}`,
  r: '0206 031232',
  s: '43321203143445361605',
  t: '10152636 0232',
  u: '0205163645 4246',
  v: '022642',
  w: '0226334662',
  x: '0246 4206',
  y: '4218 0226',
  z: '02420646',
  A: '062046 1434',
  B: '00063645443303 0030414233',
  C: '4130100105163645',
  D: '00063645413000',
  E: '40000646 0333',
  F: '400006 0333',
  G: '41301001051636454323',
  H: '0006 4046 0343',
  I: '0006',
  J: '4045361605',
  K: '0006 400346',
  L: '000646',
  M: '0600346066',
  N: '06004640',
  O: RING,
  P: HEAD,
  Q: `${RING} 2446`,
  R: `${HEAD} 2346`,
  S: '413010010213334445361605',
  T: '0040 2026',
  U: '000516364540',
  V: '002640',
  W: '0026324660',
  X: '0046 4006',
  Y: '002340 2326',
  Z: '00400646',
  ' ': '',
  '.': '06',
  ',': '1607',
  '-': '0333',
  '+': '0444 2226',
  ':': '03 06',
  '/': '0640',
  '(': '10010516',
  ')': '00111506',
  '%': '0640 00 46',
  '=': '0343 0545',
  _: '0747',
};

const UNKNOWN = '0040460600';

/** Height of a capital letter on the glyphs' grid. */
export const CAP_HEIGHT = 6;

const LETTER_GAP = 2;
const SPACE_WIDTH = 2;

/** A point as x and y. */
export type Point = readonly [number, number];

/** The strokes of a line of text on the glyphs' grid, beginning at x = 0, and its width. */
export function textStrokes(text: string): {
  readonly strokes: readonly (readonly Point[])[];
  readonly width: number;
} {
  const strokes: Point[][] = [];
  let left = 0;
  for (const character of text) {
    const glyph = (GLYPHS[character] ?? UNKNOWN).split(' ').filter((stroke) => stroke !== '');
    let width = glyph.length === 0 ? SPACE_WIDTH : 0;
    for (const stroke of glyph) {
      const points = Array.from(stroke.matchAll(/../g), ([digits]): Point => [
        Number(digits[0]),
        Number(digits[1]),
      ]);
      width = Math.max(width, ...points.map(([x]) => x));
      strokes.push(points.map(([x, y]): Point => [left + x, y]));
    }
    left += width + LETTER_GAP;
  }
  return { strokes, width: Math.max(0, left - LETTER_GAP) };
}
