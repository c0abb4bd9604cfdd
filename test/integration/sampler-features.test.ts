/** What a request can ask for besides noise alone: other solvers, remedies, starts, masks, interpolations, resuming. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import anyTest, { type TestFn } from 'ava';

import {
  ImageAssembly,
  recipeWire,
  samplerWire,
  samplingWire,
  withoutStartImages,
} from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { encodeImage, toFloat32 } from '../../shared/images/index.js';
import { SAMPLERS, imageNoise, SPACINGS } from '../../shared/sampler/index.js';
import { callStream } from '../../shared/rpc/index.js';
import {
  generate,
  generated,
  generateRequest,
  startFixture,
  type Asked,
  type Generated,
  type SamplerFixture,
} from '../sampler-service/sampler-fixture.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';

const { ImageFormat, Sampler, TimestepSpacing } = samplingWire;
const RAW = ImageFormat.IMAGE_FORMAT_RAW_FLOAT32;
const SIZE = 8;
const VALUES = SIZE * SIZE * 3;

const test = anyTest as TestFn<{ first: SamplerFixture; replica: SamplerFixture }>;

const CLASSES = {
  ...TINY,
  name: 'classes',
  dataset: { ...TINY.dataset, source: { kind: 'folder' as const, path: '/data', classFolders: true } },
  architecture: { ...TINY.architecture, numClasses: 3 },
};

async function prepare(store: Parameters<typeof commitTiny>[0]): Promise<void> {
  await commitTiny(store, { step: 1 });
  await commitTiny(store, { step: 1, recipe: CLASSES });
  await commitTiny(store, {
    step: 1,
    recipe: { ...CLASSES, name: 'guided', training: { labelDropout: 0.1 } },
  });
}

// Replicas share a store, and with it the key of tokens. These have a store each, and the key from a file.
const keyFolder = await mkdtemp(join(tmpdir(), 'token-key-'));
const replicas = { tokenKeyFile: join(keyFolder, 'key') };
await writeFile(replicas.tokenKeyFile, 'the key of all replicas of a test');

test.before(async (t) => {
  t.context = {
    first: await startFixture(prepare, replicas),
    replica: await startFixture(prepare, replicas),
  };
});

test.after.always(async ({ context: { first, replica } }) => {
  await first.close();
  await replica.close();
  await rm(keyFolder, { recursive: true });
});

function settings(
  steps: number,
  fields: Partial<samplingWire.SamplerSettings> = {},
): samplingWire.SamplerSettings {
  return {
    ...samplingWire.SamplerSettings.create(),
    timesteps: { $case: 'steps', value: steps },
    precision: recipeWire.Precision.PRECISION_FLOAT32,
    ...fields,
  };
}

type Start = samplerWire.NewImages['start'];

const fromImages = (images: Buffer[], skippedSteps = 0): Start => ({
  $case: 'startImages',
  value: { images, skippedSteps },
});

const fromLatents = (latents: Buffer[]): Start => ({ $case: 'startLatents', value: { latents } });

const encode = ({ client }: SamplerFixture, fields: Partial<samplerWire.EncodeRequest>) => {
  const request = { ...samplerWire.EncodeRequest.create({ model: 'tiny' }), ...fields };
  return callStream(client, client.encode, request);
};

/** A call that resumes images of the request. */
function resumed(
  { client }: SamplerFixture,
  request: Asked,
  tokens: Buffer[],
): AsyncGenerator<samplerWire.GenerateResponse> {
  const { images, ...reports } = generateRequest(request);
  if (images?.$case !== 'newImages') throw new Error('no new images');
  const value = { request: { ...images.value, start: withoutStartImages(images.value).start }, tokens };
  return callStream(client, client.generate, { ...reports, images: { $case: 'resumedImages', value } });
}

const sample = ({ client }: SamplerFixture, fields: Asked): Promise<Generated> =>
  generated(generate(client, { seed: 3n, format: RAW, ...fields }));

const valuesOf = (bytes: Buffer | undefined): Float32Array =>
  Float32Array.from({ length: VALUES }, (_, i) => bytes?.readFloatLE(4 * i) ?? NaN);

const imagesOf = ({ images }: Generated): Float32Array[] => [...images.values()].map(valuesOf);

function distance(a: Float32Array | undefined, b: Float32Array | undefined): number {
  return Math.sqrt(a?.reduce((sum, value, i) => sum + (value - (b?.[i] ?? NaN)) ** 2, 0) ?? NaN);
}

/** A picture with another colour in each corner. */
const pixels = Uint8Array.from({ length: VALUES }, (_, i) => ((i * 37) % 200) + 20);
const picture = async (values: Uint8Array = pixels): Promise<Buffer> =>
  Buffer.from(await encodeImage(values, { width: SIZE, height: SIZE, channels: 3 }, 'png'));

test.serial('every sampler and every spacing samples a different image, the same each time', async (t) => {
  const seen = new Set<string>();
  const asked = [
    ...SAMPLERS.map((name) => ({
      sampler: Sampler[`SAMPLER_${name.toUpperCase()}` as keyof typeof Sampler],
    })),
    ...SPACINGS.map((name) => ({
      sampler: Sampler.SAMPLER_DPMPP_2M,
      spacing: TimestepSpacing[`TIMESTEP_SPACING_${name.toUpperCase()}` as keyof typeof TimestepSpacing],
    })),
  ];
  for (const fields of asked) {
    const { accepted, images } = await sample(t.context.first, { settings: settings(7, fields) });
    t.is(accepted.settings?.sampler, fields.sampler);
    t.is(accepted.timesteps.length, 7);
    const again = await sample(t.context.first, { settings: settings(7, fields) });
    t.deepEqual(again.images, images);
    t.true(
      imagesOf(again)
        .flatMap((image) => [...image])
        .every(Number.isFinite),
      JSON.stringify(fields),
    );
    seen.add(images.get(0)?.toString('hex') ?? '');
  }
  // Euler's method is DDIM's; of the spacings linspace is even here, and even is the one of no spacing.
  t.is(seen.size, asked.length - 3);
});

test.serial('a remedy that is off changes nothing, and one that is on does', async (t) => {
  const plain = await sample(t.context.first, { settings: settings(5) });
  const off: Partial<samplingWire.SamplerSettings>[] = [
    { epsilonScaling: { k: 0, b: 1 } },
    { epsilonScaling: samplingWire.EpsilonScaling.create() },
    { timeShift: { window: 0, cutoff: 10 } },
    { varianceNormalisation: false },
    { scoreRescaling: { k: 1, sigma: 2 } },
    { guidanceScale: 1 },
  ];
  for (const fields of off) {
    t.deepEqual((await sample(t.context.first, { settings: settings(5, fields) })).images, plain.images);
  }
  const on: Partial<samplingWire.SamplerSettings>[] = [
    { epsilonScaling: { k: 0, b: 1.01 } },
    { epsilonScaling: { k: 0.001, b: undefined } },
    { timeShift: { window: 10, cutoff: 1 } },
    { varianceNormalisation: true },
    { scoreRescaling: { k: 0.95, sigma: undefined } },
    { dynamicThreshold: 0.9 },
    { clipDenoised: false },
  ];
  for (const fields of on) {
    const { images, accepted } = await sample(t.context.first, { settings: settings(5, fields) });
    t.notDeepEqual(images, plain.images, JSON.stringify(fields));
    t.like(accepted.settings, JSON.parse(JSON.stringify(fields)) as object);
  }
});

test.serial('guidance needs a model that was trained with label dropout', async (t) => {
  const guided = (model: string, guidanceScale: number) =>
    sample(t.context.first, { model, classes: [1], settings: settings(4, { guidanceScale }) });
  for (const model of ['tiny', 'classes']) {
    const asked = model === 'tiny' ? { model } : { model, classes: [1] };
    const error = await t.throwsAsync(
      sample(t.context.first, { ...asked, settings: settings(4, { guidanceScale: 2 }) }),
      { instanceOf: DiffusionError },
    );
    t.is(error.violations[0]?.field, 'new_images.settings.guidance_scale');
  }
  const [one, two, three] = [
    await guided('guided', 1),
    await guided('guided', 2),
    await guided('guided', 3),
  ].map((of) => imagesOf(of)[0]);
  t.true(distance(one, two) > 0);
  t.true(distance(one, three) > distance(one, two));
});

test.serial('the more steps an image to image call skips, the closer it stays to the image', async (t) => {
  const wanted = toFloat32(pixels);
  const distances: number[] = [];
  for (const skippedSteps of [0, 20, 29]) {
    const { accepted, progress, images } = await sample(t.context.first, {
      settings: settings(30),
      start: fromImages([await picture()], skippedSteps),
    });
    t.is(accepted.timesteps.length, 30);
    t.is(progress.at(-1)?.stepsTotal, BigInt(30 - skippedSteps));
    distances.push(distance(valuesOf(images.get(0)), wanted));
  }
  t.deepEqual(
    distances,
    [...distances].sort((a, b) => b - a),
  );
  t.true((distances[2] ?? NaN) < 0.3 * (distances[0] ?? NaN), String(distances));
});

test.serial('encoding gives a different x_T for each image, and DDIM samples from given ones', async (t) => {
  const other = pixels.toReversed();
  const kinds = new Set<string>();
  const latents: Buffer[] = [];
  for await (const { event } of encode(t.context.first, {
    images: [await picture(), await picture(other)],
    settings: settings(60, { sampler: Sampler.SAMPLER_UNSPECIFIED }),
  })) {
    kinds.add(event?.$case ?? '');
    if (event?.$case === 'accepted')
      t.like(event.value, { count: 2, settings: { sampler: Sampler.SAMPLER_DDIM }, format: RAW });
    const whole =
      event?.$case === 'latent' ? event.value.chunk && new ImageAssembly().add(event.value.chunk) : undefined;
    if (event?.$case === 'latent' && whole !== undefined) latents[event.value.index] = whole;
  }
  t.deepEqual([...kinds], ['accepted', 'progress', 'latent', 'completed']);
  const [one, two] = latents.map(valuesOf);
  t.true(one?.every(Number.isFinite));
  t.true(distance(one, two) > 1);

  const ddim = settings(5, { sampler: Sampler.SAMPLER_DDIM });
  const noise = imageNoise(3n, 4, VALUES)(0);
  const latent = Buffer.alloc(4 * VALUES);
  noise.forEach((value, i) => latent.writeFloatLE(value, 4 * i));
  const given = await sample(t.context.first, { settings: ddim, start: fromLatents([latent]) });
  const drawn = await sample(t.context.first, { settings: ddim, firstIndex: 4 });
  t.deepEqual(given.images.get(0), drawn.images.get(4));
});

test.serial('inpainting keeps exactly what is not masked', async (t) => {
  const mask = Uint8Array.from({ length: VALUES }, (_, i) => (i < VALUES / 2 ? 255 : 0));
  const { images } = await sample(t.context.first, {
    settings: settings(10),
    inpainting: { image: await picture(), mask: await picture(mask) },
  });
  const wanted = toFloat32(pixels);
  const drawn = valuesOf(images.get(0));
  t.deepEqual(drawn.slice(VALUES / 2), wanted.slice(VALUES / 2));
  t.true(distance(drawn.slice(0, VALUES / 2), wanted.slice(0, VALUES / 2)) > 1);
});

test.serial('an interpolation begins at one seed and ends at the other', async (t) => {
  const ddim = settings(5, { sampler: Sampler.SAMPLER_DDIM });
  const walk = await sample(t.context.first, {
    settings: ddim,
    count: 5,
    firstIndex: 2,
    interpolation: { toSeed: 9n },
  });
  t.deepEqual([...walk.images.keys()], [2, 3, 4, 5, 6]);
  const one = await sample(t.context.first, { settings: ddim, firstIndex: 2 });
  const other = await sample(t.context.first, { settings: ddim, firstIndex: 2, seed: 9n });
  t.deepEqual(walk.images.get(2), one.images.get(2));
  t.deepEqual(walk.images.get(6), other.images.get(2));
});

for (const sampler of [Sampler.SAMPLER_ANCESTRAL, Sampler.SAMPLER_DPMPP_2M_SDE, Sampler.SAMPLER_UNIPC]) {
  test.serial(`another replica resumes images with equal bytes: sampler ${sampler}`, async (t) => {
    const asked: Asked = {
      count: 3,
      firstIndex: 5,
      format: ImageFormat.IMAGE_FORMAT_PNG,
      settings: settings(12, { sampler, timeShift: { window: 6, cutoff: 1 } }),
      start: fromImages([await picture()], 2),
      inpainting: {
        image: await picture(),
        mask: await picture(new Uint8Array(VALUES).fill(255, 0, 100)),
      },
    };
    const whole = await sample(t.context.first, asked);
    const tokens = new Map<number, Buffer>();
    const call = generate(t.context.first.client, { seed: 3n, ...asked, resumeTokenEverySteps: 1 });
    for await (const { event } of call) {
      if (event?.$case === 'resumeToken') tokens.set(event.value.index, event.value.token);
      if (tokens.size === 3) break;
    }
    t.is(tokens.size, 3);
    for (const token of tokens.values()) t.true(token.length < 4 * 4 * VALUES + 2000, 'it has no picture');
    const request = { seed: 3n, ...asked };
    const { images, completed, progress } = await generated(
      resumed(t.context.replica, request, [...tokens.values()]),
    );
    t.deepEqual(images, whole.images);
    t.is(completed.images, 3);
    t.true(Number(progress.at(-1)?.stepsTotal) < 3 * 10);
  });
}

test.serial('tokens of deleted weights are refused', async (t) => {
  let token: Buffer | undefined;
  for await (const { event } of generate(t.context.first.client, {
    settings: settings(12),
    resumeTokenEverySteps: 1,
  })) {
    if (event?.$case === 'resumeToken') token = event.value.token;
    if (token !== undefined) break;
  }
  const other = await startFixture((store) => commitTiny(store, { step: 1, seed: 99n }), replicas);
  const error = await t.throwsAsync(
    generated(resumed(other, { settings: settings(12) }, [token ?? Buffer.of()])),
    { instanceOf: DiffusionError },
  );
  t.is(error.reason, 'RESUME_TOKEN_STALE');
  await other.close();
});

test.serial('a picture that can not be decoded is refused, naming its field', async (t) => {
  const error = await t.throwsAsync(
    sample(t.context.first, { settings: settings(3), start: fromImages([Buffer.from('<html>')]) }),
    { instanceOf: DiffusionError },
  );
  t.is(error.code, 'INVALID_ARGUMENT');
  t.is(error.violations[0]?.field, 'new_images.start_images.images[0]');
  const latent = await t.throwsAsync(
    sample(t.context.first, { settings: settings(3), start: fromLatents([Buffer.alloc(12)]) }),
    { instanceOf: DiffusionError },
  );
  t.is(latent.violations[0]?.field, 'new_images.start_latents.latents[0]');
});
