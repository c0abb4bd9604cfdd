/** The safetensors codec: exact round trips, and a typed refusal of everything that is not the format. */

import test from 'ava';
import fc from 'fast-check';
import { DiffusionError } from '../../shared/foundation/index.js';
import {
  checkFinite,
  checkTensors,
  decodeSafetensors,
  encodeSafetensors,
} from '../../shared/checkpoint/index.js';
import type { TensorData } from '../../shared/checkpoint/index.js';

const f32 = (shape: number[], ...values: number[]): TensorData => ({
  dtype: 'F32',
  shape,
  data: new Float32Array(values),
});

const everyDtype = new Map<string, TensorData>([
  ['u8', { dtype: 'U8', shape: [3], data: new Uint8Array([1, 2, 255]) }],
  ['f16', { dtype: 'F16', shape: [1], data: new Uint16Array([0x3c00]) }],
  ['bf16', { dtype: 'BF16', shape: [2, 1], data: new Uint16Array([0x3f80, 0]) }],
  ['i32', { dtype: 'I32', shape: [2], data: new Int32Array([-1, 2 ** 31 - 1]) }],
  ['i64', { dtype: 'I64', shape: [1], data: new BigInt64Array([-(2n ** 63n)]) }],
  ['f64', { dtype: 'F64', shape: [], data: new Float64Array([Math.PI]) }],
  ['f32', f32([2, 2], 1, -0, 3.5, NaN)],
  ['empty', f32([0, 4])],
]);

/** A file with any header text, and `dataBytes` zeroes behind it. */
function file(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? Buffer.from(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

function refusal(bytes: Uint8Array): DiffusionError | undefined {
  try {
    decodeSafetensors(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof DiffusionError) return error;
    throw error;
  }
}

test('every element type comes back bit for bit, with names, shapes and metadata', (t) => {
  const { tensors, metadata } = decodeSafetensors(encodeSafetensors(everyDtype, { b: '2', a: 'ä "1"' }));
  t.deepEqual(new Map([...tensors].sort()), new Map([...everyDtype].sort()));
  t.deepEqual(
    [...metadata],
    [
      ['a', 'ä "1"'],
      ['b', '2'],
    ],
  );
});

test('equal tensors give equal bytes in whatever order they come', (t) => {
  const reversed = new Map([...everyDtype].reverse());
  t.deepEqual(
    encodeSafetensors(everyDtype, { a: '1', b: '2' }),
    encodeSafetensors(reversed, { b: '2', a: '1' }),
  );
});

test('the data begin at a multiple of 8 and decoded tensors are views on the file', (t) => {
  const bytes = encodeSafetensors(everyDtype);
  t.is(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8, 0);
  for (const { data } of decodeSafetensors(bytes).tensors.values()) t.is(data.buffer, bytes.buffer);
});

test('a file that lies at an odd address decodes to the same tensors', (t) => {
  const bytes = encodeSafetensors(everyDtype);
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  t.deepEqual(decodeSafetensors(shifted.subarray(1)), decodeSafetensors(bytes));
});

test('a tensor named __proto__ is a tensor like any other', (t) => {
  const { tensors } = decodeSafetensors(encodeSafetensors(new Map([['__proto__', f32([1], 7)]]), { k: 'v' }));
  t.deepEqual([...tensors], [['__proto__', f32([1], 7)]]);
  t.is(({} as Record<string, unknown>)['dtype'], undefined);
});

test('decode(encode(x)) = x for any tensors', (t) => {
  const tensor = fc
    .float32Array({ maxLength: 20 })
    .map((data): TensorData => ({ dtype: 'F32', shape: [data.length], data }));
  const name = fc.string({ maxLength: 20 }).filter((text) => text !== '__metadata__');
  fc.assert(
    fc.property(fc.array(fc.tuple(name, tensor), { maxLength: 8 }), (pairs) => {
      const tensors = new Map(pairs);
      const { tensors: decoded } = decodeSafetensors(encodeSafetensors(tensors));
      t.deepEqual([...decoded.keys()].sort(), [...tensors.keys()].sort());
      for (const [key, { data }] of tensors) t.deepEqual(decoded.get(key)?.data, data);
    }),
    { numRuns: 100 },
  );
});

test('encoding refuses data that do not fill their shape', (t) => {
  t.throws(() => encodeSafetensors(new Map([['w', f32([3], 1, 2)]])), {
    message: /"w".*wanted 3 elements.*got 2/,
  });
});

const one = (fields: string): string => `{"w":{${fields}}}`;
const deep = '['.repeat(100_000);
const crowd = `{${Array.from({ length: 5000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join()}}`;

const faults: readonly [string, Uint8Array, RegExp][] = [
  ['an empty file', new Uint8Array(0), /at least 8 bytes; got 0/],
  ['a header of no bytes', file('{}', 0, 0n), /length from 2/],
  ['a header of 2^63 bytes', file('{}', 0, 2n ** 63n), /length from 2 to 2 bytes; got 9223372036854775808/],
  ['a header longer than the file', file('{}', 0, 3n), /length from 2 to 2/],
  ['a header past the limit', file(`{${' '.repeat(1024 * 1024)}}`), /length from 2 to 1048576/],
  ['a header that is not UTF-8', file(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), /UTF-8/],
  ['a header that begins with white space', file(' {}'), /begins with "\{"/],
  ['a header that is a list', file('[]'), /begins with "\{"/],
  ['a header that is not JSON', file('{"w"'), /JSON/],
  ['text behind the object', file('{} x'), /JSON/],
  ['deep nesting', file(`{"w":${deep}`), /nested deeper/],
  ['a tensor named twice', file('{"w":1,"w":2}'), /"w\\" occurs twice/],
  ['a tensor named twice by an escape', file('{"w":1,"\\u0077":2}'), /occurs twice/],
  ['a field twice', file(one('"dtype":"U8","dtype":"F32"')), /occurs twice/],
  ['too many tensors', file(crowd), /at most 4096 tensors/],
  ['a name of 257 characters', file(`{"${'n'.repeat(257)}":{}}`), /at most 256 characters; got 257/],
  ['a tensor that is a number', file('{"w":1}'), /"w": wanted an object; got 1/],
  ['a tensor that is null', file('{"w":null}'), /"w": wanted an object; got null/],
  ['metadata that are no object', file('{"__metadata__":[]}'), /__metadata__: wanted an object/],
  [
    'metadata that are no strings',
    file('{"__metadata__":{"a":1}}'),
    /__metadata__.a: wanted a string; got 1/,
  ],
  [
    'an unknown dtype',
    file(one('"dtype":"F8","shape":[0],"data_offsets":[0,0]')),
    /"w", dtype.*F32.*got "F8"/,
  ],
  ['a dtype of Object.prototype', file(one('"dtype":"toString","shape":[0],"data_offsets":[0,0]')), /dtype/],
  ['no dtype', file(one('"shape":[0],"data_offsets":[0,0]')), /dtype.*got nothing/],
  ['a negative dimension', file(one('"dtype":"U8","shape":[-1],"data_offsets":[0,0]')), /shape.*got \[-1\]/],
  ['half a dimension', file(one('"dtype":"U8","shape":[1.5],"data_offsets":[0,1]'), 1), /shape.*got \[1.5\]/],
  ['an infinite dimension', file(one('"dtype":"U8","shape":[1e400],"data_offsets":[0,1]'), 1), /shape/],
  ['nine dimensions', file(one('"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]'), 1), /shape/],
  ['no shape', file(one('"dtype":"U8","data_offsets":[0,0]')), /shape.*got nothing/],
  [
    'a shape whose product wraps',
    file(one('"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]')),
    /wanted 18446744073709551616 bytes.*got 0/,
  ],
  ['one offset', file(one('"dtype":"U8","shape":[0],"data_offsets":[0]')), /data_offsets/],
  [
    'a negative offset',
    file(one('"dtype":"U8","shape":[0],"data_offsets":[-1,0]')),
    /data_offsets.*got \[-1,0\]/,
  ],
  ['half an offset', file(one('"dtype":"U8","shape":[1],"data_offsets":[0,1.5]'), 1), /data_offsets/],
  ['an end before its start', file(one('"dtype":"U8","shape":[1],"data_offsets":[1,0]'), 1), /data_offsets/],
  [
    'bytes that do not fit the shape',
    file(one('"dtype":"F32","shape":[2],"data_offsets":[0,4]'), 4),
    /"w": wanted 8 bytes.*got 4/,
  ],
  [
    'bytes behind the last tensor',
    file(one('"dtype":"U8","shape":[1],"data_offsets":[0,1]'), 2),
    /wanted 1 bytes of tensor data; got 2/,
  ],
  [
    'data cut short',
    file(one('"dtype":"U8","shape":[4],"data_offsets":[0,4]'), 3),
    /wanted 4 bytes of tensor data; got 3/,
  ],
  ['data without tensors', file('{}', 1), /wanted 0 bytes of tensor data; got 1/],
  [
    'a hole',
    file(
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}',
      3,
    ),
    /"b": wanted data from offset 1; got 2/,
  ],
  [
    'an overlap',
    file(
      '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
      3,
    ),
    /"b": wanted data from offset 2; got 1/,
  ],
  [
    'two tensors over the same bytes',
    file(
      '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}',
      2,
    ),
    /"b": wanted data from offset 2; got 0/,
  ],
];

for (const [name, bytes, message] of faults) {
  test(`${name} is refused as DATA_LOSS [fault 84]`, (t) => {
    const error = refusal(bytes);
    t.is(error?.code, 'DATA_LOSS');
    t.is(error?.reason, 'SAFETENSORS_INVALID');
    t.regex(error?.message ?? '', message);
  });
}

test('any damage to the header is a DATA_LOSS or decodes to a set that checkTensors judges [fault 84]', (t) => {
  const original = encodeSafetensors(everyDtype, { note: 'x' });
  const headerEnd = 8 + Number(new DataView(original.buffer).getBigUint64(0, true));
  const flip = fc.tuple(fc.nat(headerEnd - 1), fc.nat(7));
  let refused = 0;
  fc.assert(
    fc.property(fc.array(flip, { minLength: 1, maxLength: 4 }), (flips) => {
      const bytes = original.slice();
      for (const [position, bit] of flips) bytes[position] = (bytes[position] ?? 0) ^ (1 << bit);
      const error = refusal(bytes);
      if (error !== undefined) {
        t.is(error.code, 'DATA_LOSS');
        refused++;
      }
    }),
    { numRuns: 2000 },
  );
  t.true(refused > 1000);
});

test('a file cut anywhere is refused [fault 84]', (t) => {
  const bytes = encodeSafetensors(everyDtype);
  for (let length = 0; length < bytes.length; length++)
    t.is(refusal(bytes.subarray(0, length))?.code, 'DATA_LOSS');
});

test('checkTensors names a missing tensor, an extra one and a wrong shape [fault 84]', (t) => {
  const tensors = new Map([
    ['a', f32([2], 1, 2)],
    ['extra', f32([1], 1)],
  ]);
  const expected = new Map([
    ['a', [1, 2]],
    ['b', [3]],
  ]);
  t.throws(
    () => {
      checkTensors(tensors, expected);
    },
    {
      code: 'DATA_LOSS',
      message:
        'tensor "a": wanted [1, 2]; got [2]; tensor "b": wanted [3]; got none; tensor "extra": wanted none; got [1]',
    },
  );
  t.notThrows(() => {
    checkTensors(new Map([['a', f32([], 1)]]), new Map([['a', []]]));
  });
});

test('checkFinite refuses NaN and infinities of every float type, and passes integers [fault 85]', (t) => {
  const bad: TensorData[] = [
    f32([2], 0, -Infinity),
    { dtype: 'F64', shape: [2], data: new Float64Array([0, NaN]) },
    { dtype: 'F16', shape: [2], data: new Uint16Array([0, 0x7c00]) },
    { dtype: 'BF16', shape: [2], data: new Uint16Array([0, 0xff80]) },
  ];
  for (const tensor of bad) {
    t.throws(
      () => {
        checkFinite(new Map([['w', tensor]]));
      },
      { code: 'DATA_LOSS', message: /"w"\[1\]/ },
    );
  }
  t.notThrows(() => {
    checkFinite(new Map([...everyDtype].filter(([name]) => name !== 'f32')));
  });
});
