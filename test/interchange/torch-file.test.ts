/** Files of PyTorch: every layout that torch.save writes, and a typed refusal of everything else. */

import { readFileSync } from 'node:fs';

import test from 'ava';
import fc from 'fast-check';

import { openTensorFile } from '../../shared/interchange/index.js';
import { encodeSafetensors } from '../../shared/checkpoint/index.js';
import type { ByteSource } from '../../shared/checkpoint/index.js';
import type { TensorFile } from '../../shared/interchange/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { pickleOf, storedZip } from './archives.js';

const dataFile = (name: string): Uint8Array => readFileSync(new URL(`data/${name}`, import.meta.url));

function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: (into, position) => {
      if (position < 0 || position + into.length > bytes.length) throw new Error('a read past the end');
      into.set(bytes.subarray(position, position + into.length));
      return Promise.resolve();
    },
  };
}

const open = (bytes: Uint8Array): Promise<TensorFile> => openTensorFile(sourceOf(bytes));

async function valuesOf(file: TensorFile, name: string): Promise<number[]> {
  const shape = file.tensors.get(name)?.shape ?? [];
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  await file.read(name, values);
  return [...values];
}

async function allValuesOf(bytes: Uint8Array): Promise<Record<string, number[]>> {
  const file = await open(bytes);
  const all: Record<string, number[]> = {};
  for (const name of file.tensors.keys()) all[name] = await valuesOf(file, name);
  return all;
}

const layouts = {
  plain: [0, 1, 2, 3, 4, 5],
  transposed: [0, 3, 1, 4, 2, 5],
  every_other: [1, 3, 5, 7, 9],
  repeated: [7, 7, 7, 7],
  'view.0': [0, 1, 2, 3],
  'view.1': [4, 5, 6, 7, 8, 9],
  parameter: [0, 0.125, 0.25, 0.375, 0.5, 0.625],
  half: [1, -2.5, 2 ** -14, 2 ** -24, 65504],
  // 3e38 in bfloat16's eight bits.
  bfloat16: [1, -2.5, 0b11100010 * 2 ** 120],
  double: [Math.fround(0.1), Math.fround(-1e-3)],
  scalar: [3],
  empty: [],
};

test('tensors of every layout and precision come out as PyTorch saved them', async (t) => {
  const values = await allValuesOf(dataFile('layouts.pt'));
  t.deepEqual(values, layouts);
  const { tensors, format, unwrapped } = await open(dataFile('layouts.pt'));
  t.deepEqual(tensors.get('view.1')?.shape, [3, 2]);
  t.deepEqual([format, unwrapped], ['PyTorch', []]);
});

test('what stands around a state_dict is removed, and reported', async (t) => {
  const file = await open(dataFile('wrapped.pt'));
  t.deepEqual([...file.tensors.keys()], ['weight', 'bias']);
  t.deepEqual(await valuesOf(file, 'weight'), layouts.plain);
  t.deepEqual(file.unwrapped, ['the key state_dict', 'the prefix module.']);
});

test('a safetensors file opens the same way', async (t) => {
  const data = Uint16Array.of(0x3c00, 0xc000);
  const bytes = encodeSafetensors(new Map([['module.x', { dtype: 'F16', shape: [2], data }]]));
  const file = await open(bytes);
  t.is(file.format, 'safetensors');
  t.deepEqual(await valuesOf(file, 'x'), [1, -2]);
});

test('a file of PyTorch before 1.6 opens the same way', async (t) => {
  t.deepEqual(await allValuesOf(dataFile('legacy.pt')), { plain: layouts.plain });
});

const legacyFaults: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array, RegExp])[] = [
  ['cut short', (bytes) => bytes.subarray(0, -1), /end of the file/],
  ['with bytes behind it', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]), /behind the last storage/],
  [
    'of another version',
    (bytes) => replaced(bytes, 'M\xe9\x03.', 'M\xe8\x03.'),
    /protocol version 1001; got 1000/,
  ],
  ['of a big-endian machine', (bytes) => replaced(bytes, '\x88X', '\x89X'), /little-endian/],
  [
    'with another number of elements',
    (bytes) => replaced(bytes, '\x06\0\0\0\0\0\0\0', '\x05\0\0\0\0\0\0\0'),
    /elements.*got 5/,
  ],
];

for (const [what, change, message] of legacyFaults) {
  test(`a file of PyTorch before 1.6 ${what} is refused as DATA_LOSS`, async (t) => {
    const error = await t.throwsAsync(open(change(dataFile('legacy.pt'))), { instanceOf: DiffusionError });
    t.is(error.code, 'DATA_LOSS');
    t.regex(error.message, message);
  });
}

function replaced(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  const at = text.lastIndexOf(from);
  if (at < 0) throw new Error('the file has changed');
  return Buffer.from(text.slice(0, at) + to + text.slice(at + from.length), 'latin1');
}

test('a name that no tensor needs is refused by name and place, and never looked up', async (t) => {
  const error = await t.throwsAsync(open(dataFile('module.pt')), { instanceOf: DiffusionError });
  t.is(error.code, 'DATA_LOSS');
  t.regex(error.message, /pickle, offset \d+: .*torch\.nn\.modules\.linear\.Linear/);
});

const system = pickleOf`cos\nsystem\nX${'true'}\x85R.`;

const refused: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['a call of the system', storedZip({ 'a/data.pkl': system }), /offset 2: .*os\.system/],
  ['an opcode beyond tensors', storedZip({ 'a/data.pkl': pickleOf`i.` }), /offset 2: .*0x69/],
  ['protocol 4', storedZip({ 'a/data.pkl': Buffer.from([0x80, 4, 0x7d, 0x2e]) }), /protocol 2.*got 4/],
  ['a pickle that ends early', storedZip({ 'a/data.pkl': pickleOf`}` }), /end of the pickle/],
  ['bytes behind the pickle', storedZip({ 'a/data.pkl': pickleOf`}.}` }), /nothing after it/],
  [
    'a key that occurs twice',
    storedZip({ 'a/data.pkl': pickleOf`}(X${'k'}K\x01X${'k'}K\x02u.` }),
    /different keys/,
  ],
  ['an empty stack', storedZip({ 'a/data.pkl': pickleOf`R.` }), /a value on the stack/],
  ['a memo entry never filled', storedZip({ 'a/data.pkl': pickleOf`h\x07.` }), /empty memo entry 7/],
  ['something that is no dictionary', storedZip({ 'a/data.pkl': pickleOf`K\x01.` }), /a state_dict/],
  [
    'a dictionary of numbers',
    storedZip({ 'a/data.pkl': pickleOf`}X${'k'}K\x01s.` }),
    /another value under "k"/,
  ],
  [
    'two pickles',
    storedZip({ 'a/data.pkl': pickleOf`}.`, 'b/data.pkl': pickleOf`}.` }),
    /one data\.pkl.*got "2"/,
  ],
  ['big-endian numbers', storedZip({ 'a/data.pkl': pickleOf`}.`, 'a/byteorder': 'big' }), /little-endian/],
  ['compression', storedZip({ 'a/data.pkl': pickleOf`}.` }, { method: 8 }), /no compression/],
  ['encryption', storedZip({ 'a/data.pkl': pickleOf`}.` }, { flags: 1 }), /no encryption/],
  [
    'an entry over its neighbour',
    storedZip({ 'a/x': 'abc', 'a/data.pkl': pickleOf`}.` }, { claimed: 9 }),
    /before/,
  ],
  ['a checksum that differs', storedZip({ 'a/data.pkl': pickleOf`}.` }, { crc: 1 }), /crc32 1/],
  ['text', Buffer.from('not a file of tensors'), /torch\.save or a safetensors/],
  ['nothing', new Uint8Array(), /torch\.save or a safetensors/],
  ['a zip archive cut short', dataFile('layouts.pt').subarray(0, 1000), /end record/],
];

for (const [what, bytes, message] of refused) {
  test(`${what} is refused as DATA_LOSS`, async (t) => {
    const error = await t.throwsAsync(allValuesOf(bytes), { instanceOf: DiffusionError });
    t.is(error.code, 'DATA_LOSS');
    t.regex(error.message, message);
  });
}

test('an archive with 64-bit positions is read like any other', async (t) => {
  t.deepEqual(await allValuesOf(storedZip({ 'a/data.pkl': pickleOf`}.` }, { zip64: true })), {});
});

/** Rewrites a tensor's offset, size or stride in a pickle of one tensor over six elements. */
function oneTensor(offset: string, size: string, stride: string): Uint8Array {
  const storage = pickleOf`(X${'storage'}ctorch\nFloatStorage\nX${'0'}X${'cpu'}K\x06tQ`.subarray(2);
  const [head, tail] = [
    pickleOf`}X${'x'}ctorch._utils\n_rebuild_tensor_v2\n(`,
    Buffer.from(`${offset}${size}${stride}\x89ccollections\nOrderedDict\n)RtRs.`, 'latin1'),
  ];
  return storedZip({ 'a/data.pkl': Buffer.concat([head, storage, tail]), 'a/data/0': Buffer.alloc(24) });
}

test('a tensor must lie within its storage', async (t) => {
  t.deepEqual(await allValuesOf(oneTensor('K\x00', 'K\x06\x85', 'K\x01\x85')), { x: [0, 0, 0, 0, 0, 0] });
  const outside: readonly (readonly [string, string, string])[] = [
    ['K\x01', 'K\x06\x85', 'K\x01\x85'],
    ['K\x00', 'K\x06\x85', 'K\x02\x85'],
    ['J\xff\xff\xff\xff', 'K\x06\x85', 'K\x01\x85'],
    ['K\x00', 'J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86', 'K\x00K\x01\x86'],
    ['K\x00', '(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft', '(K\x00K\x00t'],
    ['K\x00', 'K\x06\x85', 'K\x01K\x01\x86'],
    ['K\x00', 'K\x06', 'K\x01'],
  ];
  for (const [offset, size, stride] of outside) {
    const error = await t.throwsAsync(open(oneTensor(offset, size, stride)), { instanceOf: DiffusionError });
    t.regex(error.message, /within 6 elements/);
  }
});

for (const name of ['layouts.pt', 'legacy.pt'])
  test(`any damage to ${name} is a typed error or gives tensors`, async (t) => {
    const whole = dataFile(name);
    const damage = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (flips) => {
        const bytes = Uint8Array.from(whole);
        for (const [at, mask] of flips) bytes[at] = (bytes[at] ?? 0) ^ mask;
        await allValuesOf(bytes).catch((error: unknown) => {
          if (!(error instanceof DiffusionError)) throw error;
        });
      }),
      { numRuns: 500 },
    );
    t.pass();
  });

test('any flipped bit of a pickle is a typed error or gives tensors, without its checksum', async (t) => {
  const pickle = Buffer.concat([
    pickleOf`}X${'x'}X${'state_dict'}`,
    pickleOf`(K\x01G12345678]K\x02ausR0b.`.subarray(2),
  ]);
  await fc.assert(
    fc.asyncProperty(fc.nat(pickle.length - 1), fc.nat(255), async (at, byte) => {
      const bytes = Uint8Array.from(pickle);
      bytes[at] = byte;
      await allValuesOf(storedZip({ 'a/data.pkl': bytes })).catch((error: unknown) => {
        if (!(error instanceof DiffusionError)) throw error;
      });
    }),
    { numRuns: 500 },
  );
  t.pass();
});
