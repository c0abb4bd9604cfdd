import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import anyTest, { type TestFn } from 'ava';

import { callUnary } from '../../shared/rpc/index.js';
import { recipeWire, samplingWire, weightsToWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { decodeImage, toUint8 } from '../../shared/images/index.js';
import { betasHash } from '../../shared/noise/index.js';
import { recipeBetas, type TrainingRecipe } from '../../shared/recipe/index.js';
import { run } from '../cli/sinks.js';
import {
  generate,
  generated,
  startFixture,
  type Asked,
  type Generated,
  type SamplerFixture,
} from '../sampler-service/sampler-fixture.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';

const { ImageFormat, Sampler, TimestepSpacing } = samplingWire;

const test = anyTest as TestFn<SamplerFixture & { recipe: TrainingRecipe }>;

test.before(async (t) => {
  let recipe: TrainingRecipe | undefined;
  const fixture = await startFixture(async (store) => {
    await commitTiny(store, { step: 100, seed: 1n });
    recipe = await commitTiny(store, { step: 200, seed: 10n });
    await commitTiny(store, {
      step: 1,
      recipe: {
        ...TINY,
        name: 'classes',
        dataset: { ...TINY.dataset, source: { kind: 'folder', path: '/data', classFolders: true } },
        architecture: { ...TINY.architecture, numClasses: 3 },
      },
    });
  });
  if (recipe === undefined) throw new Error('no recipe');
  Object.assign(t.context, fixture, { recipe });
});

test.after.always((t) => t.context.close());

type Settings = Partial<samplingWire.SamplerSettings>;

function settings(fields: Settings): samplingWire.SamplerSettings {
  return { ...samplingWire.SamplerSettings.create(), ...fields };
}

const steps = (value: number, fields: Settings = {}): samplingWire.SamplerSettings =>
  settings({ timesteps: { $case: 'steps', value }, ...fields });

const respaced = (value: string, fields: Settings = {}): samplingWire.SamplerSettings =>
  settings({ timesteps: { $case: 'respacing', value }, ...fields });

function hashes({ images }: Generated): Record<string, string> {
  const sorted = [...images].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    sorted.map(([index, bytes]) => [String(index), createHash('sha256').update(bytes).digest('hex')]),
  );
}

test.serial('the accepted message has every resolved setting and the checkpoint’s contract', async (t) => {
  const { client, recipe } = t.context;
  const { accepted, completed, order, images, progress } = await generated(
    generate(client, { count: 2, settings: steps(3) }),
  );
  t.like(accepted, {
    weights: weightsToWire(0.99),
    count: 2,
    seed: 0n,
    firstIndex: 0,
    width: 8,
    height: 8,
    channels: 3,
  });
  t.is(accepted.format, ImageFormat.IMAGE_FORMAT_PNG);
  t.deepEqual(
    accepted.settings,
    steps(3, {
      sampler: Sampler.SAMPLER_ANCESTRAL,
      spacing: TimestepSpacing.TIMESTEP_SPACING_EVEN,
      eta: 0,
      clipDenoised: true,
      precision: recipeWire.Precision.PRECISION_FLOAT32,
    }),
  );
  t.deepEqual(accepted.timesteps, [59, 30, 0]);
  const { checkpoint } = accepted;
  t.like(checkpoint, {
    formatVersion: 1,
    model: 'tiny',
    step: 200,
    jobId: 'job-of-tiny',
    samplesSeen: 800n,
    emaRates: [0.9, 0.99],
  });
  t.is(checkpoint?.recipe?.inputPerturbation?.gamma, recipe.inputPerturbation.gamma);
  t.is(checkpoint?.recipe?.noiseSchedule?.timesteps, 60);
  t.is(checkpoint?.recipe?.noiseSchedule?.betasSha256, betasHash(recipeBetas(recipe)));
  t.regex(checkpoint?.manifestSha256 ?? '', /^[0-9a-f]{64}$/);
  t.is(order[0], 'accepted');
  t.is(order.at(-1), 'completed');
  t.is(images.size, 2);
  t.is(completed.images, 2);
  t.is(progress.at(-1)?.stepsDone, 6n);
});

test.serial('without settings an image takes 50 steps, as it does through the command line', async (t) => {
  const { client, service } = t.context;
  const { accepted, images } = await generated(generate(client, { count: 1, seed: 4n }));
  t.is(accepted.timesteps.length, 50);
  const output = await mkdtemp(join(tmpdir(), 'sampler-test-'));
  const words = ['sample', 'tiny', '--count', '1', '--seed', '4', '--output', output];
  const { exitCode, err } = await run([...words, '--address', `127.0.0.1:${service.port}`]);
  t.is(exitCode, 0, err);
  t.deepEqual(await readFile(join(output, 'tiny-4-000000.png')), images.get(0));
  await rm(output, { recursive: true });
});

for (const [name, asked, timesteps] of [
  ['one step', steps(1), [59]],
  ['two steps', steps(2), [59, 0]],
  ['three sections', respaced('2,1,3'), [59, 50, 40, 20, 19, 0]],
  ['a respacing text of one step', respaced('1'), [0]],
  ['a stride of the DDIM grammar', respaced('ddim3', { sampler: Sampler.SAMPLER_DDIM }), [40, 20, 0]],
] as const) {
  test.serial(`${name} uses the timesteps ${timesteps.join(', ')}`, async (t) => {
    const { accepted, images } = await generated(generate(t.context.client, { count: 1, settings: asked }));
    t.deepEqual(accepted.timesteps, [...timesteps]);
    t.is(images.size, 1);
  });
}

test.serial(
  'an image’s bytes are the same alone, in a batch, and beside calls with other settings [fault 95]',
  async (t) => {
    const { client } = t.context;
    const run = (fields: Asked) => generated(generate(client, { seed: 5n, settings: steps(6), ...fields }));
    const together = hashes(await run({ count: 7 }));
    t.is(new Set(Object.values(together)).size, 7);
    t.like(together, hashes(await run({ count: 1, firstIndex: 4 })));
    const [again] = await Promise.all([
      run({ count: 7 }),
      run({ count: 3, settings: steps(11), seed: 6n }),
      run({ count: 2, settings: steps(4, { sampler: Sampler.SAMPLER_DDIM, eta: 0.5 }) }),
    ]);
    t.deepEqual(hashes(again), together);
  },
);

test.serial('seeds are exact up to 2^64 - 1 [fault 95]', async (t) => {
  const { client } = t.context;
  const seeds = [0n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n];
  const runs = await Promise.all(
    seeds.map((seed) => generated(generate(client, { seed, settings: steps(2) }))),
  );
  t.deepEqual(
    runs.map(({ accepted }) => accepted.seed),
    seeds,
  );
  t.is(new Set(runs.map((run) => hashes(run)['0'])).size, seeds.length);
});

test.serial('checkpoint, weights, sampler and eta each change the image', async (t) => {
  const { client } = t.context;
  const variations: Asked[] = [
    {},
    { checkpointStep: 100 },
    { weights: weightsToWire('raw') },
    { weights: weightsToWire(0.9) },
    { settings: steps(3, { sampler: Sampler.SAMPLER_DDIM }) },
    { settings: steps(3, { sampler: Sampler.SAMPLER_DDIM, eta: 1 }) },
  ];
  const seen = new Set<string | undefined>();
  for (const fields of variations) {
    const run = await generated(generate(client, { settings: steps(3), ...fields }));
    t.is(run.accepted.checkpoint?.step, fields.checkpointStep ?? 200);
    t.deepEqual(run.accepted.weights, fields.weights ?? weightsToWire(0.99));
    seen.add(hashes(run)['0']);
  }
  t.is(seen.size, variations.length);
});

test.serial('PNG, WebP and raw float32 are the same image', async (t) => {
  const { client } = t.context;
  const run = async (format: samplingWire.ImageFormat): Promise<Buffer> => {
    const { images, accepted } = await generated(generate(client, { format, settings: steps(4) }));
    t.is(accepted.format, format);
    return images.get(0) ?? Buffer.alloc(0);
  };
  const raw = await run(ImageFormat.IMAGE_FORMAT_RAW_FLOAT32);
  t.is(raw.length, 8 * 8 * 3 * 4);
  const floats = Float32Array.from({ length: raw.length / 4 }, (_, i) => raw.readFloatLE(4 * i));
  for (const format of [ImageFormat.IMAGE_FORMAT_PNG, ImageFormat.IMAGE_FORMAT_WEBP]) {
    const decoded = await decodeImage(await run(format), { imageSize: 8, channels: 3 });
    t.deepEqual(Buffer.from(decoded.pixels), Buffer.from(toUint8(floats)));
  }
});

test.serial('previews are PNG images of the predicted x_0, before the image itself', async (t) => {
  const { previews, order } = await generated(
    generate(t.context.client, { settings: steps(6), previewEverySteps: 2 }),
  );
  t.deepEqual(
    previews.map(({ step }) => step),
    [2, 4],
  );
  for (const { chunk } of previews) t.is(chunk?.data.subarray(1, 4).toString(), 'PNG');
  t.true(order.lastIndexOf('preview') < order.indexOf('image'));
});

test.serial('a class-conditional model samples the classes that are asked for', async (t) => {
  const { client } = t.context;
  const run = (classes: number[], count: number) =>
    generated(generate(client, { model: 'classes', classes, count, settings: steps(2) }));
  const each = hashes(await run([0, 2], 2));
  t.like(hashes(await run([2], 2)), { 1: each['1'] });
  t.not(hashes(await run([1], 1))['0'], each['0']);
});

test.serial('a cancelled call stops the work, and the next one is served [fault 20]', async (t) => {
  const { client } = t.context;
  const cancel = new AbortController();
  const stream = generate(client, { count: 64, settings: steps(60) }, { signal: cancel.signal });
  const error = await t.throwsAsync(
    async () => {
      for await (const { event } of stream) if (event?.$case === 'progress') cancel.abort();
    },
    { instanceOf: DiffusionError },
  );
  t.is(error.code, 'CANCELLED');
  const { completed } = await generated(generate(client, { settings: steps(2) }));
  t.is(completed.images, 1);
});

test.serial(
  'a call whose deadline passes ends with DEADLINE_EXCEEDED, and another call continues [fault 21]',
  async (t) => {
    const { client } = t.context;
    const neighbour = generated(generate(client, { count: 2, settings: steps(10) }));
    const late = generated(generate(client, { count: 64, settings: steps(60) }, { timeoutMs: 300 }));
    const error = await t.throwsAsync(late, { instanceOf: DiffusionError });
    t.is(error.code, 'DEADLINE_EXCEEDED');
    t.is((await neighbour).images.size, 2);
  },
);

test.serial('models are listed with their newest contract and the steps of all, newest first', async (t) => {
  const { client } = t.context;
  const { models, nextPageToken } = await callUnary(client, client.listModels, {
    pageSize: 1,
    pageToken: '',
    namePrefix: '',
  });
  t.deepEqual(
    models.map(({ name }) => name),
    ['classes'],
  );
  const second = await callUnary(client, client.listModels, {
    pageSize: 1,
    pageToken: nextPageToken,
    namePrefix: '',
  });
  t.is(second.nextPageToken, '');
  const { model } = await callUnary(client, client.getModel, { model: 'tiny' });
  t.deepEqual(second.models, [model]);
  t.deepEqual(model?.checkpointSteps, [200, 100]);
  t.is(model?.latest?.step, 200);
});
