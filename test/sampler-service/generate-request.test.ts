import test from 'ava';

import { readEncodeRequest } from '../../services/sampler/encode-request.js';
import { readGenerateRequest } from '../../services/sampler/generate-request.js';
import { writeResumeToken, type ResumePoint } from '../../services/sampler/resume-token.js';
import { samplerWire, samplingWire, weightsToWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { generateRequest, newImages, type Asked } from './sampler-fixture.js';

const MAX_IMAGES = 100;
const KEY = Buffer.alloc(32, 7);
const COUNT = 4;

const read = (fields: Asked) =>
  readGenerateRequest(generateRequest({ count: COUNT, ...fields }), MAX_IMAGES, KEY);

const settings = (fields: Partial<samplingWire.SamplerSettings>) => ({
  ...samplingWire.SamplerSettings.create(),
  ...fields,
});

const PICTURE = Buffer.of(1);

const images = (pictures: Buffer[], skippedSteps = 0): Asked => ({
  start: { $case: 'startImages', value: { images: pictures, skippedSteps } },
});

const latents = (values: Buffer[]): Asked => ({
  start: { $case: 'startLatents', value: { latents: values } },
});

const refused: readonly [field: string, fields: Asked][] = [
  ...['', 'Tiny', '../x', 'a/b', 'a\n', '\u202e', '-a', 'a'.repeat(64)].map(
    (model): [string, { model: string }] => ['model', { model }],
  ),
  ['count', { count: 0 }],
  ['count', { count: MAX_IMAGES + 1 }],
  ['count', { count: 2 ** 32 - 1 }],
  ['weights.ema_rate', { weights: weightsToWire(Number.NaN) }],
  ['weights.ema_rate', { weights: weightsToWire(-0.1) }],
  ['weights.ema_rate', { weights: weightsToWire(1) }],
  ['first_index', { firstIndex: 2 ** 32 - 3 }],
  ['settings.sampler', { settings: settings({ sampler: 77 as samplingWire.Sampler }) }],
  ['format', { format: -1 }],
  ['format', { format: 77 as samplingWire.ImageFormat }],
  ['classes', { classes: [1, 2] }],
  ['settings.spacing', { settings: settings({ spacing: 77 as samplingWire.TimestepSpacing }) }],
  ['start_images.images', images([])],
  ['start_images.images', images([PICTURE, PICTURE])],
  ['start_latents.latents', latents([PICTURE, PICTURE, PICTURE])],
  ['count', { count: 1, interpolation: { toSeed: 1n } }],
  ['interpolation', { ...latents([PICTURE]), interpolation: { toSeed: 1n } }],
  ['inpainting', { ...latents([PICTURE]), inpainting: { image: PICTURE, mask: PICTURE } }],
];

for (const [field, fields] of refused) {
  test(`${shown(fields)} is refused, naming ${field} [fault 93, 96]`, (t) => {
    const error = t.throws(() => read(fields), { instanceOf: DiffusionError });
    refuses(error, `new_images.${field}`);
  });
}

test('a request of neither new nor resumed images is refused', (t) => {
  const nothing = samplerWire.GenerateRequest.create({});
  const error = t.throws(() => readGenerateRequest(nothing, MAX_IMAGES, KEY), { instanceOf: DiffusionError });
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['new_images'],
  );
});

test('all refused fields are named at once', (t) => {
  const error = t.throws(() => read({ model: '', count: 0, weights: weightsToWire(2) }), {
    instanceOf: DiffusionError,
  });
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['new_images.model', 'new_images.weights.ema_rate', 'new_images.count'],
  );
});

test('an unknown priority is refused by its name', (t) => {
  const wire = {
    ...samplerWire.GenerateRequest.create({}),
    ...generateRequest({}),
    priority: 9 as samplerWire.Priority,
  };
  const error = t.throws(() => readGenerateRequest(wire, 100, KEY), { instanceOf: DiffusionError });
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['priority'],
  );
});

test('unset fields take the stated defaults', (t) => {
  const { requestSha256, ...rest } = read({});
  t.regex(requestSha256, /^[0-9a-f]{64}$/);
  t.deepEqual(rest, {
    task: 'generate',
    within: 'new_images',
    model: 'tiny',
    checkpointStep: undefined,
    weights: undefined,
    count: COUNT,
    seed: 0n,
    firstIndex: 0,
    settings: { sampler: 'ancestral' },
    format: 'png',
    precision: 'float32',
    priority: 'normal',
    reports: { previewEverySteps: 0, trajectoryEverySteps: 0, resumeTokenEverySteps: 0 },
    classes: [],
    start: undefined,
    inpainting: undefined,
    toSeed: undefined,
  });
});

test('steps of 0 stay 0 and are refused, not treated as unset [fault 92]', (t) => {
  t.is(read({ settings: settings({ timesteps: { $case: 'steps', value: 0 } }) }).settings.steps, 0);
});

test('the largest seed and the last indices are good', (t) => {
  const { seed, firstIndex } = read({ seed: 2n ** 64n - 1n, firstIndex: 2 ** 32 - COUNT });
  t.is(seed, 2n ** 64n - 1n);
  t.is(firstIndex, 2 ** 32 - COUNT);
});

const { requestSha256 } = read({});

function token(fields: Partial<ResumePoint> = {}): Buffer {
  const state = { stepsDone: 1, x: Float32Array.of(1), history: [] };
  const of = { requestSha256, checkpointStep: 5, weights: 'raw', weightsSha256: 'a' } as const;
  return writeResumeToken({ ...of, index: 0, state, ...fields }, KEY);
}

const resume = (request: Partial<samplerWire.NewImages>, tokens: Buffer[]) =>
  readGenerateRequest(
    {
      ...generateRequest({ previewEverySteps: 2 }),
      images: {
        $case: 'resumedImages',
        value: { request: newImages({ count: COUNT, ...request }), tokens },
      },
    },
    MAX_IMAGES,
    KEY,
  );

test('a request with tokens is the request that they are of, for only the images of the tokens', (t) => {
  const resumed = resume({}, [token({ index: 3 }), token({ index: 1 })]);
  t.like(resumed, { model: 'tiny', count: COUNT, checkpointStep: 5, weights: 'raw' });
  t.is(resumed.reports.previewEverySteps, 2);
  t.deepEqual(
    resumed.resumed?.map(({ index }) => index),
    [3, 1],
  );
});

test('a request is the same with and without its start images', (t) => {
  const asked = { ...images([PICTURE], 1), count: COUNT };
  const bound = token({ requestSha256: read(asked).requestSha256 });
  t.is(resume({ ...images([], 1) }, [bound]).resumed?.length, 1);
});

for (const [what, field, request, tokens] of [
  ['no token', 'tokens', {}, []],
  ['more tokens than images', 'tokens', {}, new Array<Buffer>(100_000).fill(Buffer.alloc(0))],
  ['bytes that are no token', 'tokens[1]', {}, [token(), Buffer.from('no token')]],
  ['two tokens of one image', 'tokens[1]', {}, [token(), token()]],
  ['tokens of two sets of weights', 'tokens[1]', {}, [token(), token({ index: 1, weightsSha256: 'b' })]],
  ['a token of another request', 'tokens[0]', { seed: 1n }, [token()]],
  ['a request that is refused', 'request.count', { count: 0 }, [token()]],
] as const) {
  test(`${what} resumes nothing`, (t) => {
    const error = t.throws(() => resume(request, [...tokens]), { instanceOf: DiffusionError });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.deepEqual(
      error.violations.map((violation) => violation.field),
      [`resumed_images.${field}`],
    );
  });
}

const readEncode = (fields: Partial<samplerWire.EncodeRequest>) =>
  readEncodeRequest(
    { ...samplerWire.EncodeRequest.create({ model: 'tiny', images: [PICTURE] }), ...fields },
    MAX_IMAGES,
  );

test('an encode request uses DDIM and raw values', (t) => {
  t.like(readEncode({ images: [PICTURE, PICTURE] }), {
    task: 'encode',
    count: 2,
    format: 'raw_float32',
    settings: { sampler: 'ddim' },
  });
});

for (const [field, fields] of [
  ['model', { model: '' }],
  ['images', { images: [] }],
  ['images', { images: Array.from({ length: MAX_IMAGES + 1 }, () => PICTURE) }],
  ['classes', { classes: [1, 2] }],
  ['weights.ema_rate', { weights: weightsToWire(1) }],
  ['settings.sampler', { settings: settings({ sampler: samplingWire.Sampler.SAMPLER_EULER }) }],
  ['settings.eta', { settings: settings({ eta: 0.5 }) }],
  ['settings.time_shift', { settings: settings({ timeShift: { window: 30, cutoff: 300 } }) }],
  ['settings.wavelet_correction', { settings: settings({ waveletCorrection: 0.1 }) }],
  ['settings.variance_normalisation', { settings: settings({ varianceNormalisation: true }) }],
] as [string, Partial<samplerWire.EncodeRequest>][]) {
  test(`${field} of ${shown(fields)} is refused for encoding`, (t) => {
    refuses(
      t.throws(() => readEncode(fields), { instanceOf: DiffusionError }),
      field,
    );
  });
}

function refuses(error: DiffusionError, field: string): void {
  const { code, message, violations } = error;
  const named = violations.map((violation) => violation.field);
  if (code === 'INVALID_ARGUMENT' && named.join() === field && /wanted .*; got /.test(message)) return;
  throw new Error(`${code} of ${named.join()} instead of ${field}: ${message}`);
}

function shown(fields: object): string {
  const text = JSON.stringify(fields, (_key, value: unknown) =>
    typeof value === 'bigint' || Number.isNaN(value) ? String(value) : value,
  );
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
