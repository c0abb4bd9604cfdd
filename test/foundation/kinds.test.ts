import test from 'ava';

import {
  bool,
  integer,
  list,
  matching,
  oneOf,
  positive,
  real,
  uint64,
  type Kind,
} from '../../shared/foundation/index.js';

/** Of each kind: values that it accepts, and others; texts that it reads, with their values, and others. */
const CASES: readonly {
  readonly kind: Kind<unknown>;
  readonly accepts: readonly unknown[];
  readonly refuses: readonly unknown[];
  readonly reads: Readonly<Record<string, unknown>>;
  readonly readsNot: readonly string[];
}[] = [
  {
    kind: integer(-2, 10),
    accepts: [-2, 0, 10],
    refuses: [-3, 11, 1.5, NaN, Infinity, '5', 5n, null, [5], undefined],
    reads: { '-2': -2, '10': 10, '007': 7 },
    readsNot: ['', ' ', '11', '1.5', '1e1', '0x5', '5 ', 'five'],
  },
  {
    kind: real(0, 1),
    accepts: [0, 0.5, 1],
    refuses: [-0.1, 1.1, NaN, Infinity, '0.5', null],
    reads: { '0.5': 0.5, '1e-3': 0.001 },
    readsNot: ['', ' ', 'NaN', '2', 'half'],
  },
  { kind: positive(1), accepts: [1e-9, 1], refuses: [0, -1, 1.1, NaN], reads: { '1': 1 }, readsNot: ['0'] },
  {
    kind: bool,
    accepts: [true, false],
    refuses: [0, 1, 'true', null],
    reads: { true: true, false: false },
    readsNot: ['', 'yes', '1', 'TRUE'],
  },
  {
    kind: oneOf([1, 3]),
    accepts: [1, 3],
    refuses: ['1', 2, null],
    reads: { '1': 1, '3': 3 },
    readsNot: ['2', '', '1.0'],
  },
  {
    kind: matching(/^[a-z]{1,3}$/, 'up to three letters'),
    accepts: ['abc'],
    refuses: ['', 'abcd', 'ABC', 5, ['abc']],
    reads: { abc: 'abc' },
    readsNot: ['', 'a b'],
  },
  {
    kind: list(integer(1, 9), 0, 3),
    accepts: [[], [1], [1, 2, 9]],
    refuses: [[1, 2, 3, 4], [0], ['1'], '1', { length: 1 }, [undefined], null],
    reads: { '': [], '1': [1], '1,2,3': [1, 2, 3] },
    readsNot: ['1,', ',', '1,2,3,4', '1;2', '0'],
  },
];

for (const { kind, accepts, refuses, reads, readsNot } of CASES) {
  test(`the kind "${kind.wanted}" takes its values, as they are and as text, and no others`, (t) => {
    for (const value of accepts) t.deepEqual(kind.accept(value), value);
    for (const value of refuses) t.is(kind.accept(value), undefined, String(value));
    for (const [text, value] of Object.entries(reads)) t.deepEqual(kind.read(text), value, text);
    for (const text of readsNot) t.is(kind.read(text), undefined, `"${text}"`);
  });
}

test('an integer of 64 bits is kept as decimal text', (t) => {
  t.is(uint64.accept(7), '7');
  for (const text of ['0', '18446744073709551615']) {
    t.is(uint64.accept(text), text);
    t.is(uint64.read(text), text);
  }
  for (const value of ['', '-1', '1.5', '18446744073709551616', -1, 2 ** 53, NaN, 5n, null]) {
    t.is(uint64.accept(value), undefined);
  }
});
