import test from 'ava';
import fc from 'fast-check';

import { shortened } from '../../shared/foundation/index.js';

test('a text that fits stays as it is', (t) => {
  t.is(shortened('😀'.repeat(5), 5), '😀'.repeat(5));
  t.is(shortened('', 0), '');
});

test('a longer text is cut between characters', (t) => {
  t.is(shortened('a' + '😀'.repeat(5), 5), 'a😀...');
});

test('half of a pair becomes U+FFFD', (t) => {
  t.is(shortened('a\ud83d', 5), 'a\ufffd');
  t.is(shortened('\ude00\ud83d', 5), '\ufffd\ufffd');
});

test('whatever the text, it can be encoded, and has no more characters than it may have', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 3, max: 20 }), (text, limit) => {
      const short = shortened(text + text.slice(1), limit);
      t.notThrows(() => encodeURI(short));
      t.true(Array.from(short).length <= limit);
    }),
  );
});
