import test from 'ava';

import {
  checkOf,
  field,
  newestVersion,
  optional,
  optionalSection,
  rowsOf,
  section,
  union,
  valueAt,
  versionOf,
  withValueAt,
  type ValuesOf,
} from '../../shared/fields/index.js';
import {
  bool,
  DiffusionError,
  integer,
  list,
  matching,
  oneOf,
  real,
  uint64,
} from '../../shared/foundation/index.js';

const ORDER = {
  orderName: field(matching(/^[a-z]{1,9}$/, 'a short word'), 'its name'),
  size: section('how large it is', {
    width: field(integer(1, 9), 'its width', { mayChange: true }),
    weights: field(list(real(0, 1), 1, 3), 'the weights'),
    seed: optional(uint64, 'the seed', { since: 3 }),
  }),
  from: union('a place', {
    home: { help: 'from home', fields: {} },
    shop: {
      help: 'from a shop',
      fields: {
        shopName: field(oneOf(['near', 'far']), 'which', { since: { far: 2 } }),
        isOpen: field(bool, 'open', { default: true }),
      },
    },
    nowhere: { help: 'from nowhere', fields: {}, isInternal: true, since: 4 },
  }),
  gift: optionalSection('a gift', { text: field(matching(/^.{1,5}$/, 'a text'), 'what it says') }),
};
type Order = ValuesOf<typeof ORDER>;

const WHOLE: Order = {
  orderName: 'a',
  size: { width: 2, weights: [0.5] },
  from: { kind: 'shop', shopName: 'near', isOpen: false },
};

const strict = checkOf(ORDER, 'refused', 'INVALID_FIELD');
const lenient = checkOf(ORDER, 'kept', 'INVALID_FIELD');

function refused(check: () => unknown): string[] {
  try {
    check();
  } catch (error) {
    if (error instanceof DiffusionError) return error.violations.map(({ field: path }) => path);
    throw error;
  }
  return [];
}

test('a whole message passes as it is, in the order of the declaration', (t) => {
  t.deepEqual(strict(WHOLE), WHOLE);
  const { from, size, orderName } = WHOLE;
  t.is(JSON.stringify(strict({ from, size, orderName })), JSON.stringify(WHOLE));
});

test('numbers of 64 bits become text, and a union fills in its defaults', (t) => {
  const { size, from } = strict({
    ...WHOLE,
    size: { ...WHOLE.size, seed: 7 },
    from: { kind: 'shop', shopName: 'far' },
  });
  t.is(size.seed, '7');
  t.deepEqual(from, { kind: 'shop', shopName: 'far', isOpen: true });
});

test('every refused field is named by its path in the contracts', (t) => {
  const fields = refused(() =>
    strict({
      orderName: 'A',
      size: { width: 10, weights: [0, 2], seed: -1, heightOfBox: 1 },
      from: { kind: 'shop', shopName: 'other', isOpen: true, hasStairs: true },
      gift: {},
    }),
  );
  t.deepEqual(fields.sort(), [
    ...['gift.text', 'order_name', 'shop.has_stairs', 'shop.shop_name', 'size.height_of_box'],
    ...['size.seed', 'size.weights[1]', 'size.width'],
  ]);
});

test('a union of no kind is refused as a whole', (t) => {
  for (const from of [undefined, {}, { kind: 'moon' }, { kind: ['shop'] }, 'shop']) {
    t.is(refused(() => strict({ ...WHOLE, from })).length, 1);
  }
});

test('fields that are not declared are refused, or kept where another build may have stored them', (t) => {
  const more = { ...WHOLE, more: 1, from: { kind: 'shop', shopName: 'near', isOpen: false, more: [1] } };
  t.deepEqual(refused(() => strict(more)).sort(), ['more', 'shop.more']);
  t.deepEqual(lenient(more) as unknown, more);
});

test('a table has a row for each field, by its path', (t) => {
  t.deepEqual(
    rowsOf(ORDER).map(({ path }) => path),
    [
      ...['order_name', 'size.width', 'size.weights', 'size.seed', 'home', 'shop.shop_name', 'shop.is_open'],
      'gift.text',
    ],
  );
});

test('a value is read and set by its row, and a union of another kind is replaced', (t) => {
  const row = (path: string) => {
    const found = rowsOf(ORDER).find((each) => each.path === path);
    if (found === undefined) throw new Error(path);
    return found;
  };
  t.is(valueAt(row('size.width'), WHOLE), 2);
  t.is(valueAt(row('shop.shop_name'), WHOLE), 'near');
  t.is(valueAt(row('home'), WHOLE), undefined);
  t.is(valueAt(row('gift.text'), WHOLE), undefined);
  t.deepEqual(withValueAt(row('size.width'), { size: { seed: '1' } }, 3), { size: { seed: '1', width: 3 } });
  t.deepEqual(withValueAt(row('shop.is_open'), { ...WHOLE }, true), {
    ...WHOLE,
    from: { kind: 'shop', shopName: 'near', isOpen: true },
  });
  t.deepEqual(withValueAt(row('home'), { ...WHOLE }, true), { ...WHOLE, from: { kind: 'home' } });
  t.deepEqual(withValueAt(row('shop.is_open'), { from: { kind: 'home' } }, true), {
    from: { kind: 'shop', isOpen: true },
  });
});

test('a message needs the version of what it uses, and no higher one', (t) => {
  t.is(newestVersion(ORDER), 4);
  t.is(versionOf(ORDER, WHOLE), 1);
  t.is(versionOf(ORDER, { ...WHOLE, size: { ...WHOLE.size, seed: '1' } }), 3);
  t.is(versionOf(ORDER, { ...WHOLE, from: { kind: 'shop', shopName: 'far' } }), 2);
  t.is(versionOf(ORDER, { ...WHOLE, from: { kind: 'nowhere' } }), 4);
});
