import test from 'ava';
import fc from 'fast-check';

import { describeValue, shortened } from '../../shared/foundation/index.js';
import { anyText } from './texts.js';

test('a shortened text can always be encoded, is no longer than its limit, and is whole where it fits', (t) => {
  fc.assert(
    fc.property(anyText(300), fc.integer({ min: 3, max: 200 }), (text, limit) => {
      const short = shortened(text, limit);
      t.notThrows(() => encodeURI(short));
      t.true(short.length <= limit);
      if (text.length <= limit) t.is(short, text.replace(/\p{Surrogate}/gu, '\ufffd'));
      else t.true(short.endsWith('...'));
    }),
  );
});

test('a pair of surrogates at the limit stays whole or goes [fault A1]', (t) => {
  t.is(shortened(`${'a'.repeat(5)}\u{1f600}bcd`, 9), 'aaaaa...');
  t.is(shortened(`${'a'.repeat(4)}\u{1f600}bcde`, 9), 'aaaa\u{1f600}...');
  t.is(shortened('\ud83d', 9), '\ufffd');
});

test('any value is described in 80 characters that can be encoded', (t) => {
  fc.assert(
    fc.property(fc.anything({ values: [anyText(300), fc.double(), fc.bigInt()], maxDepth: 2 }), (value) => {
      const text = describeValue(value);
      t.notThrows(() => encodeURI(text));
      t.true(text.length <= 80);
    }),
  );
  t.is(describeValue(`${'a'.repeat(75)}\u{1f600}aaaa`), `"${'a'.repeat(75)}...`);
  t.is(describeValue(new Array(30_000).fill(1)), 'a list of 30000 values');
  t.is(describeValue(Buffer.alloc(5_000_000)), '5000000 bytes');
});
