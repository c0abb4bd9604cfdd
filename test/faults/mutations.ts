/** Changes to bytes, as damage and malice make them. */

import fc from 'fast-check';

/** One change. Places are parts of the whole, so that they suit bytes of any length. */
type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'remove'; readonly at: number; readonly length: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number; readonly times: number }
  | { readonly kind: 'number'; readonly at: number; readonly text: string }
  | { readonly kind: 'length'; readonly bytes: Uint8Array };

/** Numbers and other values where a number was wanted. */
const TEXTS = [
  ...['-1', '1.5', '1e308', '1e999', '9007199254740993', '18446744073709551616', '4294967296'],
  ...['null', '"x"', '[]', '{}', '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]', 'true', '00', '-', ''],
];

const place = fc.double({ min: 0, max: 1, noNaN: true });

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
  fc.record({ kind: fc.constant('remove' as const), at: place, length: fc.nat(64) }),
  fc.record({ kind: fc.constant('insert' as const), at: place, bytes: fc.uint8Array({ maxLength: 64 }) }),
  fc.record({ kind: fc.constant('repeat' as const), at: place, length: fc.nat(200), times: fc.nat(50) }),
  fc.record({ kind: fc.constant('number' as const), at: place, text: fc.constantFrom(...TEXTS) }),
  fc.record({ kind: fc.constant('length' as const), bytes: fc.uint8Array({ minLength: 8, maxLength: 8 }) }),
);

/** A few changes, one after the other. */
export const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });

export function mutated(bytes: Uint8Array, changes: readonly Mutation[]): Buffer {
  return changes.reduce<Buffer>((current, change) => apply(current, change), Buffer.from(bytes));
}

function apply(bytes: Buffer, change: Mutation): Buffer {
  const at = 'at' in change ? Math.floor(change.at * bytes.length) : 0;
  switch (change.kind) {
    case 'flip': {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << change.bit);
      return copy;
    }
    case 'cut':
      return bytes.subarray(0, at);
    case 'remove':
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + change.length)]);
    case 'insert':
      return Buffer.concat([bytes.subarray(0, at), change.bytes, bytes.subarray(at)]);
    case 'repeat': {
      const part = bytes.subarray(at, at + change.length);
      return Buffer.concat([
        bytes.subarray(0, at),
        ...Array.from({ length: change.times }, () => part),
        bytes.subarray(at),
      ]);
    }
    case 'number': {
      // The next number in a text takes the place of another value.
      const text = bytes.toString('latin1');
      const found = /\d+/.exec(text.slice(at));
      if (found === null) return bytes;
      const start = at + found.index;
      return Buffer.from(text.slice(0, start) + change.text + text.slice(start + found[0].length), 'latin1');
    }
    case 'length':
      return Buffer.concat([change.bytes, bytes.subarray(8)]);
  }
}
