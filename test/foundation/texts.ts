/** Texts of all kinds: every UTF-16 unit, pairs and lone surrogates included. */

import fc from 'fast-check';

const UNITS = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }),
  fc.integer({ min: 0xd800, max: 0xdfff }),
  fc.integer({ min: 0x20, max: 0x7e }),
);

export function anyText(maxLength: number): fc.Arbitrary<string> {
  const pieces = fc.oneof(
    UNITS.map((unit) => String.fromCharCode(unit)),
    fc.constantFrom('\u{1f600}', '\u0000', '\n', '\u202e', '%', '\ud83d', '\ude00'),
  );
  return fc.array(pieces, { maxLength: maxLength / 2, size: 'max' }).map((all) => all.join(''));
}
