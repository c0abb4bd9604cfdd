import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import { readResumable, saveRequest, saveToken } from '../../services/cli/resume-files.js';
import { samplingWire, weightsToWire, type samplerWire } from '../../shared/contract/index.js';
import { fakeSampler, newImagesIn } from './fake-sampler.js';
import { run, type Ran } from './sinks.js';

const { Sampler, TimestepSpacing } = samplingWire;

async function asking(t: ExecutionContext) {
  const { address, requests, encoded } = await fakeSampler(t);
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
  const encode = (...words: string[]): Promise<Ran> =>
    run(['encode', ...words, '--output', output, '--address', address]);
  return { ask, requests, file, folder, output, encode, encoded };
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
  t.like(newImagesIn(requests[0]).settings, {
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

test('one number of epsilon scaling is its constant, and unset settings are not sent', async (t) => {
  const { ask, requests } = await asking(t);
  await ask('tiny', '--count', '1', '--epsilon-scaling', '1.01', '--no-clip');
  const off = { timeShift: undefined, scoreRescaling: undefined, guidanceScale: undefined };
  t.like(newImagesIn(requests[0]).settings, {
    epsilonScaling: { k: 0, b: 1.01 },
    clipDenoised: false,
    ...off,
  });
  t.like(newImagesIn(requests[0]), { start: undefined, inpainting: undefined, interpolation: undefined });
});

test('a folder to start from gives its pictures by name, and that many images', async (t) => {
  const { ask, requests, file, folder } = await asking(t);
  await file('photos/b.png');
  await file('photos/a.jpg');
  await file('photos/grid.png');
  await file('photos/provenance.json');
  await ask('tiny', '--from', join(folder, 'photos'), '--skip-steps', '20');
  const { count, start } = newImagesIn(requests[0]);
  t.is(count, 2);
  const images = ['photos/a.jpg', 'photos/b.png'].map((name) => Buffer.from(name));
  t.deepEqual(start, { $case: 'startImages', value: { images, skippedSteps: 20 } });
});

test('pictures are encoded into raw files of the same names, from which images start again', async (t) => {
  const { ask, requests, file, folder, output, encode, encoded } = await asking(t);
  await file('photos/b.png');
  await file('photos/a.jpg');
  const { exitCode, err } = await encode('tiny', join(folder, 'photos'), '--steps', '9', '--weights', 'raw');
  t.is(err, '');
  t.is(exitCode, 0);
  t.like(encoded[0], { settings: { timesteps: { value: 9 } }, weights: weightsToWire('raw') });
  t.deepEqual(encoded[0]?.images, [Buffer.from('photos/a.jpg'), Buffer.from('photos/b.png')]);
  t.deepEqual((await readdir(output)).sort(), ['a.jpg.f32', 'b.png.f32', 'provenance.json']);
  await ask('tiny', '--from', output, '--sampler', 'ddim');
  const { count, start } = newImagesIn(requests[0]);
  t.is(count, 2);
  t.is(start?.$case, 'startLatents');
});

test('a mask, an interpolation and the reports during sampling are sent', async (t) => {
  const { ask, requests, file } = await asking(t);
  const inpainting = ['--inpaint', await file('a.png'), '--mask', await file('m.png')];
  await ask('tiny', '--count', '2', ...inpainting, '--to-seed', '8', '--trajectory-every', '2');
  t.like(newImagesIn(requests[0]), {
    inpainting: { image: Buffer.from('a.png'), mask: Buffer.from('m.png') },
    interpolation: { toSeed: 8n },
  });
  t.like(requests[0], { trajectoryEverySteps: 2, resumeTokenEverySteps: 0 });
});

test('tokens and their request are kept until the images are finished, and can be resumed', async (t) => {
  const { ask, requests, output, file } = await asking(t);
  const left = async () => (await readdir(output)).filter((name) => name.includes('.resume'));
  await ask('tiny', '--count', '2', '--resume-every', '1');
  // The sampler gives a token for each image, and in the end the images.
  t.deepEqual(await left(), []);
  t.is(requests[0]?.resumeTokenEverySteps, 1);
  const begun = { ...newImagesIn(requests[0]), seed: 4n, start: pictures([await file('a.png')]) };
  await saveRequest(join(output, 'tiny-4'), begun);
  await saveToken(join(output, 'tiny-4-000001'), Buffer.from('token'));
  await ask('--resume', '--preview-every', '3');
  t.is(requests[1]?.previewEverySteps, 3);
  t.deepEqual(requests[1]?.images, {
    $case: 'resumedImages',
    value: { request: { ...begun, start: pictures([]) }, tokens: [Buffer.from('token')] },
  });
  t.deepEqual(await left(), []);
});

test('an interrupted call leaves the files that resume its unfinished images', async (t) => {
  const { address } = await fakeSampler(t, { hangs: true });
  const output = await mkdtemp(join(tmpdir(), 'cli-'));
  const interrupt = new AbortController();
  const words = ['sample', 'tiny', '--count', '2', '--resume-every', '1', '--output', output];
  const running = run([...words, '--address', address], { signal: interrupt.signal });
  while (!(await readdir(output)).includes('tiny-0-000001.png')) await setImmediate();
  interrupt.abort();
  const { exitCode, out } = await running;
  t.is(exitCode, 130);
  t.regex(out, /to resume the unfinished images: ip-diffusion sample --resume --output/);
  const [found, ...others] = await readResumable(output);
  t.deepEqual(others, []);
  t.like(found, { request: { model: 'tiny', count: 2 }, tokens: [Buffer.from('token')] });
});

function pictures(paths: readonly string[]): samplerWire.NewImages['start'] {
  return { $case: 'startImages', value: { images: paths.map((path) => Buffer.from(path)), skippedSteps: 1 } };
}

for (const [what, flags, wanted] of [
  ['no model', [], /missing MODEL/],
  ['a model beside --resume', ['tiny', '--resume'], /--resume takes no MODEL/],
  ['nothing to resume', ['--resume'], /wanted images to resume in .*; found none/],
  ['skipped steps without a start', ['tiny', '--skip-steps', '3'], /--skip-steps needs --from/],
  ['a mask without a picture', ['tiny', '--mask', 'm.png'], /--inpaint and --mask go together/],
  ['a file that is not there', ['tiny', '--from', '/nowhere/a.png'], /\/nowhere\/a\.png can't be read/],
  ['one number for two', ['tiny', '--time-shift', '30'], /--time-shift: wanted 2 numbers/],
] as const) {
  test(`${what} is refused in one line, and nothing is sent`, async (t) => {
    const { ask, requests } = await asking(t);
    const { exitCode, err } = await ask(...flags);
    t.true(exitCode === 1 || exitCode === 2);
    t.regex(err, wanted);
    t.is(requests.length, 0);
  });
}
