import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { samplingWire } from '../../shared/contract/index.js';
import { fakeSampler } from './fake-services.js';
import { run, type Ran } from './sinks.js';

const { Sampler, TimestepSpacing, ImageFormat } = samplingWire;

async function asking(t: ExecutionContext) {
  const { address, requests } = await fakeSampler(t);
  const folder = await mkdtemp(join(tmpdir(), 'cli-'));
  const output = join(folder, 'samples');
  const ask = (...flags: string[]): Promise<Ran> =>
    run(['sample', ...flags, '--output', output, '--address', address]);
  const file = async (name: string, content = name): Promise<string> => {
    const path = join(folder, name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, content);
    return path;
  };
  return { ask, requests, file, folder, output };
}

test('every setting of a sampler has a flag', async (t) => {
  const { ask, requests } = await asking(t);
  const flags =
    '--count 1 --sampler dpmpp_2m --steps 9 --spacing trailing --guidance 2.5 --dynamic-threshold 0.9 ' +
    '--epsilon-scaling 0.001,1.02 --time-shift 30,300 --variance-normalisation --score-rescaling 0.95 ' +
    '--precision bfloat16';
  const { exitCode, err } = await ask('tiny', ...flags.split(' '));
  t.is(err, '');
  t.is(exitCode, 0);
  t.like(requests[0]?.settings, {
    sampler: Sampler.SAMPLER_DPMPP_2M,
    timesteps: { $case: 'steps', value: 9 },
    spacing: TimestepSpacing.TIMESTEP_SPACING_TRAILING,
    guidanceScale: 2.5,
    dynamicThreshold: 0.9,
    epsilonScaling: { k: 0.001, b: 1.02 },
    timeShift: { window: 30, cutoff: 300 },
    varianceNormalisation: true,
    scoreRescaling: { k: 0.95, sigma: 1 },
    precision: 2,
  });
});

test('one number of epsilon scaling is its constant, and what is not asked for is not sent', async (t) => {
  const { ask, requests } = await asking(t);
  await ask('tiny', '--count', '1', '--epsilon-scaling', '1.01', '--no-clip');
  const off = { timeShift: undefined, scoreRescaling: undefined, guidanceScale: undefined };
  t.like(requests[0]?.settings, { epsilonScaling: { k: 0, b: 1.01 }, clipDenoised: false, ...off });
  t.like(requests[0], { start: undefined, inpainting: undefined, interpolation: undefined });
});

test('a folder to start from gives its pictures by name, and as many images', async (t) => {
  const { ask, requests, file, folder } = await asking(t);
  await file('photos/b.png');
  await file('photos/a.jpg');
  await file('photos/grid.png');
  await file('photos/provenance.json');
  await ask('tiny', '--from', join(folder, 'photos'), '--skip-steps', '20');
  t.like(requests[0], { count: 2, start: { skippedSteps: 20, latents: [] } });
  t.deepEqual(
    requests[0]?.start?.images.map((bytes) => bytes.toString()),
    ['photos/a.jpg', 'photos/b.png'],
  );
});

test('encoding is asked for raw values, which are started from again', async (t) => {
  const { ask, requests, file, output } = await asking(t);
  await ask('tiny', '--from', await file('a.png'), '--sampler', 'ddim_encode');
  await ask('tiny', '--from', await file('b.f32'), '--sampler', 'ddim');
  t.is(requests[0]?.format, ImageFormat.IMAGE_FORMAT_RAW_FLOAT32);
  t.deepEqual(
    (await readdir(output)).sort(),
    ['provenance.json', 'tiny-0-000000.f32', 'tiny-0-000000.png', 'grid.png'].sort(),
  );
  t.like(requests[1]?.start, { images: [], skippedSteps: 0 });
  t.is(requests[1]?.start?.latents[0]?.toString(), 'b.f32');
});

test('a mask, a walk and what is told on the way are sent', async (t) => {
  const { ask, requests, file } = await asking(t);
  const inpainting = ['--inpaint', await file('a.png'), '--mask', await file('m.png')];
  await ask('tiny', '--count', '2', ...inpainting, '--to-seed', '8', '--trajectory-every', '2');
  t.like(requests[0], {
    inpainting: { image: Buffer.from('a.png'), mask: Buffer.from('m.png') },
    interpolation: { toSeed: 8n },
    trajectoryEverySteps: 2,
    resumeTokenEverySteps: 0,
  });
});

test('tokens are kept until their images are there, and then gone on with', async (t) => {
  const { ask, requests, output } = await asking(t);
  await ask('tiny', '--count', '2', '--resume-every', '1');
  // The sampler gives a token for each image, and in the end the images.
  t.deepEqual(
    (await readdir(output)).filter((name) => name.endsWith('.resume')),
    [],
  );
  t.is(requests[0]?.resumeTokenEverySteps, 1);
  await writeFile(join(output, 'tiny-0-000001.resume'), 'token');
  await ask('--resume', '--preview-every', '3');
  t.like(requests[1], { model: '', count: 0, previewEverySteps: 3, resumeTokens: [Buffer.from('token')] });
});

for (const [what, flags, wanted] of [
  ['no model', [], /missing MODEL/],
  ['a model beside --resume', ['tiny', '--resume'], /--resume takes no MODEL/],
  ['nothing to resume', ['--resume'], /wanted \.resume files in .*; got none/],
  ['a mask without a picture', ['tiny', '--mask', 'm.png'], /--inpaint and --mask go together/],
  ['a file that is not there', ['tiny', '--from', '/nowhere/a.png'], /\/nowhere\/a\.png can't be read/],
  ['one number for two', ['tiny', '--time-shift', '30'], /--time-shift: wanted 2 numbers/],
] as const) {
  test(`${what} is refused in a line, and nothing is sent`, async (t) => {
    const { ask, requests } = await asking(t);
    const { exitCode, err } = await ask(...flags);
    t.true(exitCode === 1 || exitCode === 2);
    t.regex(err, wanted);
    t.is(requests.length, 0);
  });
}
