import { createHash } from 'node:crypto';
import { access, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { decodeImage } from '../../shared/images/index.js';
import { samplerWire, weightsToWire } from '../../shared/contract/index.js';
import { fakeSampler, newImagesIn } from './fake-sampler.js';
import { run } from './sinks.js';

const freshFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'cli-'));

interface Provenance {
  readonly accepted: { readonly checkpoint: { readonly model: string } };
  readonly images: {
    readonly file: string;
    readonly index: number;
    readonly seed: string;
    readonly sha256: string;
  }[];
}

const provenanceIn = async (folder: string): Promise<Provenance> =>
  JSON.parse(await readFile(join(folder, 'provenance.json'), 'utf8')) as Provenance;

test('sample saves each image, a grid of them, and provenance.json', async (t) => {
  const { address } = await fakeSampler(t);
  const output = await freshFolder();
  const flags = ['--count', '3', '--seed', '7', '--first-index', '10', '--output', output];
  const { exitCode, out, err } = await run(['sample', 'tiny', ...flags, '--address', address]);
  t.is(err, '');
  t.is(exitCode, 0);
  const names = ['tiny-7-000010.png', 'tiny-7-000011.png', 'tiny-7-000012.png'];
  t.deepEqual((await readdir(output)).sort(), ['grid.png', 'provenance.json', ...names]);
  const { accepted, images } = await provenanceIn(output);
  t.is(accepted.checkpoint.model, 'tiny');
  t.deepEqual(
    images.map(({ file }) => file),
    names,
  );
  for (const [n, { file, index, seed, sha256 }] of images.entries()) {
    const bytes = await readFile(join(output, file));
    t.deepEqual([index, seed, sha256], [10 + n, '7', createHash('sha256').update(bytes).digest('hex')]);
    t.is((await decodeImage(bytes, { imageSize: 8, channels: 3 })).pixels[0], 10 + n);
  }
  // Two columns of 8 pixels enlarged twelvefold, with gaps of 4: the second image stands to the right of the first.
  const grid = await decodeImage(await readFile(join(output, 'grid.png')), { imageSize: 204, channels: 3 });
  t.deepEqual(
    [10, 110].map((x) => grid.pixels[(10 * 204 + x) * 3]),
    [10, 11],
  );
  t.regex(out, /^sampling 3 images of 8x8 in 3 steps from tiny at step 5, EMA weights of rate 0.9999\n/);
});

test('the request has every given setting, and no other', async (t) => {
  const { address, requests } = await fakeSampler(t);
  const output = await freshFolder();
  const ask = (...flags: string[]) =>
    run(['sample', 'tiny', '--count', '1', '--output', output, '--address', address, ...flags]);
  await ask();
  await ask(
    '--sampler',
    'ddim',
    '--respacing',
    'ddim5',
    '--eta',
    '0.5',
    '--checkpoint',
    '3',
    '--weights',
    'raw',
  );
  await ask('--format', 'webp', '--preview-every', '2', '--classes', '1', '--steps', '4');
  t.like(newImagesIn(requests[0]), {
    settings: { sampler: 1, timesteps: undefined, eta: undefined },
    checkpointStep: undefined,
    weights: undefined,
    format: 1,
  });
  t.like(newImagesIn(requests[1]), {
    settings: { sampler: 2, timesteps: { $case: 'respacing', value: 'ddim5' }, eta: 0.5 },
    checkpointStep: 3,
    weights: weightsToWire('raw'),
  });
  t.is(requests[2]?.previewEverySteps, 2);
  t.like(newImagesIn(requests[2]), {
    settings: { timesteps: { value: 4 } },
    format: 2,
    classes: [1],
  });
});

test('sample --json prints one event in each line, with the files', async (t) => {
  const { address } = await fakeSampler(t);
  const output = await freshFolder();
  const { out } = await run([
    'sample',
    'tiny',
    '--count',
    '1',
    '--json',
    '--output',
    output,
    '--address',
    address,
  ]);
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; file?: string });
  t.deepEqual(
    events.map(({ event }) => event),
    ['accepted', 'progress', 'image', 'completed'],
  );
  t.is(events[2]?.file, join(output, 'tiny-0-000000.png'));
});

test('sample --priority says who goes first, and shows the place in the queue', async (t) => {
  const { address, requests } = await fakeSampler(t);
  const output = await freshFolder();
  const words = [
    'sample',
    'tiny',
    '--count',
    '1',
    '--priority',
    'batch',
    '--output',
    output,
    '--address',
    address,
  ];
  const shown = await run(words);
  t.is(requests[0]?.priority, samplerWire.Priority.PRIORITY_BATCH);
  t.regex(shown.out + shown.err, /waiting.*place 3 in the queue.*begins in 1 min 30 s/);
  const { out } = await run([...words, '--json']);
  const [first] = out.trim().split('\n');
  t.like(JSON.parse(first ?? ''), { event: 'queued', position: 3 });
});

test('an interrupted sample keeps and lists the finished images', async (t) => {
  const { address } = await fakeSampler(t, { hangs: true });
  const output = await freshFolder();
  const interrupt = new AbortController();
  const flags = ['--count', '3', '--output', output, '--address', address];
  const running = run(['sample', 'tiny', ...flags], { signal: interrupt.signal });
  await until(join(output, 'tiny-0-000001.png'));
  interrupt.abort();
  const { exitCode, out } = await running;
  t.is(exitCode, 130);
  t.regex(out, /images are in /);
  const { images } = await provenanceIn(output);
  t.deepEqual(
    images.map(({ index }) => index),
    [1, 2],
  );
});

test('models lists and shows the models that can be sampled from', async (t) => {
  const { address } = await fakeSampler(t);
  const list = await run(['models', '--address', address]);
  t.regex(list.out, /^MODEL +NEWEST +CHECKPOINTS +EMA RATES +COMMITTED\ntiny +5 +5, 3 +0.999, 0.9999/);
  const show = await run(['models', 'show', 'tiny', '--address', address]);
  t.regex(show.out, /^model +tiny\ncheckpoint +step 5\nof +5, 3\nEMA rates +0.999, 0.9999\n/);
  t.like(JSON.parse((await run(['models', 'show', 'tiny', '--json', '--address', address])).out), {
    name: 'tiny',
  });
});

test("a model's checkpoints are listed, shown, loaded and unloaded", async (t) => {
  const { address, loaded } = await fakeSampler(t);
  const models = async (...words: string[]): Promise<string> => {
    const { exitCode, out, err } = await run(['models', ...words, '--address', address]);
    t.is(exitCode, 0, err);
    return out;
  };
  t.regex(await models('checkpoints', 'tiny'), /^CHECKPOINT +EMA RATES +SIZE +COMMITTED\n5 .*\n3 /);
  t.regex(await models('show', 'tiny', '--checkpoint', '3'), /^model +tiny\ncheckpoint +step 3\n/);
  t.is(
    await models('load', 'tiny', '--weights', 'raw'),
    'loaded tiny, step 5, raw weights, used by 2 calls\n',
  );
  t.like(loaded[0], { model: 'tiny', checkpointStep: undefined, weights: weightsToWire('raw') });
  t.is(await models('unload', 'tiny'), 'unloaded tiny, step 5, raw weights, used by 2 calls\n');
});

async function until(path: string): Promise<void> {
  while (!(await exists(path))) await new Promise((resolve) => setImmediate(resolve));
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
