import test from 'ava';

import { readGenerateRequest } from '../../services/sampler/generate-request.js';
import { samplerWire, samplingWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';

const MAX_IMAGES = 100;

function request(fields: Partial<samplerWire.GenerateRequest>): samplerWire.GenerateRequest {
  return { ...samplerWire.GenerateRequest.create({ model: 'tiny', count: 4 }), ...fields };
}

const settings = (fields: Partial<samplingWire.SamplerSettings>) => ({
  ...samplingWire.SamplerSettings.create(),
  ...fields,
});

const refused: readonly [field: string, fields: Partial<samplerWire.GenerateRequest>][] = [
  ...['', 'Tiny', '../x', 'a/b', 'a\n', '\u202e', '-a', 'a'.repeat(64)].map(
    (model): [string, { model: string }] => ['model', { model }],
  ),
  ['count', { count: 0 }],
  ['count', { count: MAX_IMAGES + 1 }],
  ['count', { count: 2 ** 32 - 1 }],
  ['emaRate', { emaRate: Number.NaN }],
  ['emaRate', { emaRate: -0.1 }],
  ['emaRate', { emaRate: 1 }],
  ['firstIndex', { firstIndex: 2n ** 32n - 3n }],
  ['settings.sampler', { settings: settings({ sampler: 77 as samplingWire.Sampler }) }],
  ['format', { format: -1 }],
  ['format', { format: 77 as samplingWire.ImageFormat }],
  ['classes', { classes: [1, 2] }],
];

for (const [field, fields] of refused) {
  const shown = JSON.stringify(fields, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  test(`${shown} is refused, naming ${field}`, (t) => {
    const error = t.throws(() => readGenerateRequest(request(fields), MAX_IMAGES), {
      instanceOf: DiffusionError,
    });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.deepEqual(
      error.violations.map((violation) => violation.field),
      [field],
    );
    t.regex(error.message, /wanted .*; got /);
  });
}

test('all refused fields are named at once', (t) => {
  const error = t.throws(
    () => readGenerateRequest(request({ model: '', count: 0, emaRate: 2 }), MAX_IMAGES),
    {
      instanceOf: DiffusionError,
    },
  );
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['model', 'emaRate', 'count'],
  );
});

test('unset fields take the stated defaults', (t) => {
  t.deepEqual(readGenerateRequest(request({}), MAX_IMAGES), {
    model: 'tiny',
    version: undefined,
    emaRate: undefined,
    count: 4,
    seed: 0n,
    firstIndex: 0,
    settings: { sampler: 'ancestral' },
    format: 'png',
    precision: 'float32',
    previewEverySteps: 0,
    classes: [],
  });
});

test('steps of 0 stay 0, to be refused, and are not taken for unset', (t) => {
  const read = readGenerateRequest(
    request({ settings: settings({ timesteps: { $case: 'steps', value: 0 } }) }),
    MAX_IMAGES,
  );
  t.is(read.settings.steps, 0);
});

test('the largest seed and the last indices are good', (t) => {
  const read = readGenerateRequest(request({ seed: 2n ** 64n - 1n, firstIndex: 2n ** 32n - 4n }), MAX_IMAGES);
  t.is(read.seed, 2n ** 64n - 1n);
  t.is(read.firstIndex, 2 ** 32 - 4);
});
