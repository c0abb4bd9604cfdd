import test from 'ava';

import { readGenerateRequest } from '../../services/sampler/generate-request.js';
import { writeResumeToken, type ResumePoint } from '../../services/sampler/resume-token.js';
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

const PICTURE = Buffer.of(1);
const start = (fields: Partial<samplerWire.StartImages>): samplerWire.StartImages => ({
  ...samplerWire.StartImages.create(),
  ...fields,
});
const ENCODE = settings({ sampler: samplingWire.Sampler.SAMPLER_DDIM_ENCODE });
const RAW = samplingWire.ImageFormat.IMAGE_FORMAT_RAW_FLOAT32;

function token(fields: Partial<ResumePoint> = {}): Buffer {
  const state = { stepsDone: 1, x: Float32Array.of(1), history: [] };
  return writeResumeToken({ request: request({}), weightsSha256: 'a', index: 0, state, ...fields });
}
const TOKEN = token();

const refused: readonly [field: string, fields: Partial<samplerWire.GenerateRequest>][] = [
  ...['', 'Tiny', '../x', 'a/b', 'a\n', '\u202e', '-a', 'a'.repeat(64)].map(
    (model): [string, { model: string }] => ['model', { model }],
  ),
  ['count', { count: 0 }],
  ['count', { count: MAX_IMAGES + 1 }],
  ['count', { count: 2 ** 32 - 1 }],
  ['ema_rate', { emaRate: Number.NaN }],
  ['ema_rate', { emaRate: -0.1 }],
  ['ema_rate', { emaRate: 1 }],
  ['first_index', { firstIndex: 2n ** 32n - 3n }],
  ['settings.sampler', { settings: settings({ sampler: 77 as samplingWire.Sampler }) }],
  ['format', { format: -1 }],
  ['format', { format: 77 as samplingWire.ImageFormat }],
  ['classes', { classes: [1, 2] }],
  ['settings.spacing', { settings: settings({ spacing: 77 as samplingWire.TimestepSpacing }) }],
  ['start.images', { start: start({}) }],
  ['start.images', { start: start({ images: [PICTURE, PICTURE] }) }],
  ['start.latents', { start: start({ latents: [PICTURE, PICTURE, PICTURE] }) }],
  ['start.latents', { start: start({ latents: [PICTURE], skippedSteps: 1 }) }],
  ['count', { count: 1, interpolation: { toSeed: 1n } }],
  ['interpolation', { start: start({ latents: [PICTURE] }), interpolation: { toSeed: 1n } }],
  ['inpainting', { start: start({ latents: [PICTURE] }), inpainting: { image: PICTURE, mask: PICTURE } }],
  ['start.images', { settings: ENCODE, format: RAW }],
  [
    'start.skipped_steps',
    { settings: ENCODE, format: RAW, start: start({ images: [PICTURE], skippedSteps: 1 }) },
  ],
  ['format', { settings: ENCODE, start: start({ images: [PICTURE] }) }],
  ['resume_tokens', { resumeTokens: [TOKEN] }],
  ['resume_tokens[1]', { model: '', count: 0, resumeTokens: [TOKEN, Buffer.from('no token')] }],
  ['resume_tokens[1]', { model: '', count: 0, resumeTokens: [TOKEN, TOKEN] }],
  [
    'resume_tokens[1]',
    { model: '', count: 0, resumeTokens: [TOKEN, token({ index: 1, weightsSha256: 'b' })] },
  ],
  [
    'resume_tokens[1]',
    { model: '', count: 0, resumeTokens: [TOKEN, token({ index: 1, request: request({ seed: 1n }) })] },
  ],
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
    ['model', 'ema_rate', 'count'],
  );
});

test('unset fields take the stated defaults', (t) => {
  const wire = request({});
  t.deepEqual(readGenerateRequest(wire, MAX_IMAGES), {
    model: 'tiny',
    version: undefined,
    emaRate: undefined,
    count: 4,
    seed: 0n,
    firstIndex: 0,
    settings: { sampler: 'ancestral' },
    format: 'png',
    precision: 'float32',
    telling: { previewEverySteps: 0, trajectoryEverySteps: 0, resumeTokenEverySteps: 0 },
    classes: [],
    start: undefined,
    inpainting: undefined,
    toSeed: undefined,
    wire,
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

test('tokens of one call are its request, with only the images that they are for', (t) => {
  const resumeTokens = [token({ index: 3 }), token({ index: 1 })];
  const read = readGenerateRequest(
    request({ model: '', count: 0, resumeTokens, previewEverySteps: 2 }),
    MAX_IMAGES,
  );
  t.like(read, { model: 'tiny', count: 4, telling: { previewEverySteps: 2 } });
  t.deepEqual(
    read.resumed?.map(({ index }) => index),
    [3, 1],
  );
});
