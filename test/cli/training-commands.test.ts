import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { imageChunks, samplingWire, trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { JOB } from './fake-service.js';
import { fakeTrainer, type WatchEvent } from './fake-trainer.js';
import { run } from './sinks.js';

const { JobState } = trainerWire;
const GRID = Buffer.from('a picture');

const snapshot: WatchEvent = { $case: 'snapshot', value: { job: JOB, historyTruncated: false } };
const terminal = (state: trainerWire.JobState, message: string): WatchEvent => ({
  $case: 'terminal',
  value: { ...JOB, state, message },
});
const succeeded = terminal(JobState.JOB_STATE_SUCCEEDED, 'all steps are done');
const grid: WatchEvent = {
  $case: 'sampleGrid',
  value: {
    step: 2,
    image: [
      ...imageChunks({
        format: samplingWire.ImageFormat.IMAGE_FORMAT_PNG,
        width: 1,
        height: 1,
        channels: 3,
        bytes: GRID,
      }),
    ][0],
  },
};
const evaluation: WatchEvent = {
  $case: 'evaluation',
  value: {
    ...{ step: 2, mse: 0.5, emaMse: 0.25, images: 4 },
    exposure: {
      ...{ step: 2, images: 8, steps: 10, energyRatio: 0.9, epsilonNormRatio: 1.1 },
      ...{ suggestedLambda: 1.0123, suggestedLambdaLow: 1, suggestedLambdaHigh: 1.02 },
    },
  },
};
const metrics = (step: number): WatchEvent => ({
  $case: 'stepMetrics',
  value: trainerWire.StepMetrics.fromPartial({
    step,
    totalSteps: 3,
    loss: 0.5,
    imagesPerSecond: 12,
  }),
});

const freshFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'cli-'));

test('train sends the recipe, follows the job, and saves its metrics and grids', async (t) => {
  const trainer = await fakeTrainer(t, [
    [snapshot, metrics(1), grid, evaluation, metrics(2), metrics(3), succeeded],
  ]);
  const folder = await freshFolder();
  const csv = join(folder, 'metrics.csv');
  const flags = ['--name', 'tiny', '--steps', '3', '--batch-size', '2', '--csv', csv, '--output', folder];
  const { exitCode, out, err } = await run(['train', ...flags, '--address', trainer.address]);
  t.is(err, '');
  t.is(exitCode, 0);
  const [request] = trainer.created;
  t.regex(request?.requestId ?? '', /^[0-9a-f-]{36}$/);
  t.like(request?.recipe, { name: 'tiny', training: { steps: 3, batchSize: 2 } });
  t.deepEqual(
    (await readFile(csv, 'utf8'))
      .split('\n')
      .slice(1, 4)
      .map((row) => row.split(',').filter((_, i, { length }) => i === 1 || i >= length - 5)),
    [
      ['1', '', '', '', '', ''],
      ['2', '0.5', '0.25', '0.9', '1.1', '1.0123'],
      ['3', '', '', '', '', ''],
    ],
  );
  const gridFile = join(folder, 'tiny', 'step-000002.png');
  t.deepEqual(await readFile(gridFile), GRID);
  t.is(
    out,
    [
      'job job-1 of model tiny: RUNNING',
      'training 33 % · step 1/3 · loss 0.5 · 12 images/s',
      `step 2: samples in ${gridFile}`,
      'step 2: unperturbed MSE on held-out images 0.5, with EMA weights 0.25',
      'step 2: exposure bias: energy of samples 0.9 of that of images, norm of epsilon 1.1, as an epsilon scaling 1.0123',
      'SUCCEEDED: all steps are done',
      'training 100 % · step 3/3 · loss 0.5 · 12 images/s',
      `metrics in ${csv}`,
      'sample images: npx ip-diffusion sample tiny',
      '',
    ].join('\n'),
  );
});

test('watch --json prints one event in each line and nothing else', async (t) => {
  const { address } = await fakeTrainer(t, [[snapshot, metrics(1), succeeded]]);
  const { exitCode, out } = await run(['watch', 'job-1', '--json', '--address', address]);
  t.is(exitCode, 0);
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  t.is(events.length, 3);
  t.like(events[0], { event: 'snapshot', position: '1.1', job: { jobId: 'job-1' } });
  t.like(events[1], { event: 'stepMetrics', step: 1, loss: 0.5 });
  t.like(events[2], { event: 'terminal', state: 'JOB_STATE_SUCCEEDED' });
});

const spilled: WatchEvent = {
  $case: 'storeReport',
  value: {
    change: trainerWire.StoreChange.STORE_CHANGE_SPILLED,
    message: 'the checkpoint of step 2 is in the spill folder; store unavailable',
    since: new Date(0),
    ...{ steps: [2], waiting: 1, spilledBytes: 12_000_000n, spillLimitBytes: 10_000_000_000n },
  },
};
const available: WatchEvent = {
  $case: 'storeReport',
  value: trainerWire.StoreReport.fromPartial({
    change: trainerWire.StoreChange.STORE_CHANGE_AVAILABLE,
    message: 'the store answers again',
  }),
};

test('watch shows what the store does with the checkpoints, in lines and with every field as JSON [fault A12]', async (t) => {
  const events = [snapshot, spilled, available, succeeded];
  const { address } = await fakeTrainer(t, [events, events]);
  const { out } = await run(['watch', 'job-1', '--address', address]);
  t.deepEqual(out.split('\n').slice(1, 3), [
    'the checkpoint of step 2 is in the spill folder; store unavailable (12 MB of 10 GB in the spill folder)',
    'the store answers again',
  ]);
  const json = await run(['watch', 'job-1', '--json', '--address', address]);
  t.like(JSON.parse(json.out.split('\n')[1] ?? ''), {
    ...{ event: 'storeReport', change: 'STORE_CHANGE_SPILLED', since: '1970-01-01T00:00:00.000Z' },
    ...{ steps: [2], waiting: 1, spilledBytes: '12000000', spillLimitBytes: '10000000000' },
  });
});

test('watch continues from the last position when the trainer answers again [fault 111]', async (t) => {
  const gone = new DiffusionError('SERVICE_STOPPING', 'the trainer stops');
  const { address, watched } = await fakeTrainer(t, [
    [snapshot, metrics(1), gone],
    [snapshot, succeeded],
  ]);
  const { exitCode, out } = await run(['watch', 'job-1', '--address', address]);
  t.is(exitCode, 0);
  t.regex(out, /lost the connection to the trainer; reconnecting/);
  t.deepEqual(
    watched.map(({ after }) => after),
    ['', '1.2'],
  );
});

for (const state of [JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED]) {
  test(`watch exits with 1 where the job ends in state ${state}`, async (t) => {
    const { address } = await fakeTrainer(t, [[snapshot, terminal(state, 'it is over')]]);
    const { exitCode, out } = await run(['watch', 'job-1', '--address', address]);
    t.is(exitCode, 1);
    t.regex(out, /: it is over\n$/);
  });
}

test('an interrupted train says that the job continues, and does not cancel it', async (t) => {
  const { address, cancelled, watched } = await fakeTrainer(t, [[snapshot, 'hang']]);
  const folder = await freshFolder();
  const interrupt = new AbortController();
  const running = run(['train', '--csv', join(folder, 'm.csv'), '--address', address], {
    signal: interrupt.signal,
  });
  await until(() => watched.length === 1);
  interrupt.abort();
  const { exitCode, out, err } = await running;
  t.is(exitCode, 130);
  t.is(err, '');
  t.true(out.includes('stopped following; the job continues'));
  t.true(out.includes(`watch it:  npx ip-diffusion watch job-1 --address ${address}`));
  t.true(out.includes(`cancel it: npx ip-diffusion jobs cancel job-1 --address ${address}`));
  t.deepEqual(cancelled, []);
});

test('train --detach starts the job and returns', async (t) => {
  const { address, watched } = await fakeTrainer(t);
  const { exitCode, out } = await run(['train', '--detach', '--address', address]);
  t.is(exitCode, 0);
  t.regex(out, /npx ip-diffusion watch job-1/);
  t.deepEqual(watched, []);
});

test('train --validate-only shows the estimate and what is in the data set', async (t) => {
  const { address, created } = await fakeTrainer(t);
  const { exitCode, out } = await run(['train', '--validate-only', '--address', address]);
  t.is(exitCode, 0);
  t.true(created[0]?.validateOnly);
  t.regex(out, /network +1,000 parameters\nmemory +2\.0 GB at most\ncheckpoint +16 kB\n/);
  t.regex(out, /starts from +base at step 400, EMA weights of rate 0\.99\n/);
  t.regex(out, /data set +12 images, 8x8 to 64x64\n/);
});

test('jobs lists every page, as a table and as JSON lines', async (t) => {
  const { address } = await fakeTrainer(t);
  const { out } = await run(['jobs', '--address', address]);
  t.deepEqual(
    out.split('\n').map((line) => line.split(/ +/).slice(0, 3)),
    [['JOB', 'MODEL', 'STATE'], ['job-1', 'tiny', 'RUNNING'], ['job-0', 'tiny', 'FAILED'], ['']],
  );
  const json = (await run(['jobs', 'list', '--json', '--address', address])).out.trim().split('\n');
  t.deepEqual(
    json.map((line) => (JSON.parse(line) as { jobId: string }).jobId),
    ['job-1', 'job-0'],
  );
});

test('jobs show, cancel and resume print the job', async (t) => {
  const { address, cancelled, resumed } = await fakeTrainer(t);
  for (const words of [
    ['show', 'job-1'],
    ['cancel', 'job-1', '--detach'],
    ['resume', 'job-1', '--steps', '9', '--set', 'training.keep_last=5'],
  ]) {
    const { exitCode, out } = await run(['jobs', ...words, '--address', address]);
    t.is(exitCode, 0);
    t.regex(out, /^job +job-1\nmodel +tiny\nstate +(RUNNING|CANCELLING)\n/);
  }
  t.deepEqual(cancelled, ['job-1']);
  const training = { steps: 9, keepLast: 5 };
  t.like(resumed[0], { jobId: 'job-1', recipe: { training }, updateMask: undefined });
  t.regex(resumed[0]?.requestId ?? '', /^[0-9a-f-]{36}$/);
});

test('jobs cancel waits until the job has ended', async (t) => {
  const { address, watched } = await fakeTrainer(t, [
    [snapshot, metrics(1), terminal(JobState.JOB_STATE_CANCELLED, 'cancelled at step 1')],
  ]);
  const { exitCode, out } = await run(['jobs', 'cancel', 'job-1', '--address', address]);
  t.is(exitCode, 0);
  t.regex(out, /^cancelling: .*\njob +job-1\nmodel +tiny\nstate +CANCELLED\n +cancelled at step 1\n/);
  t.is(watched.length, 1);
});

test('jobs list asks for states, models and times', async (t) => {
  const { address, listed } = await fakeTrainer(t);
  const flags = ['--state', 'failed,RUNNING', '--model', 'ti', '--since', '2026-01-31'];
  await run(['jobs', ...flags, '--before', '2026-02-01T12:00:00Z', '--address', address]);
  t.is(listed.length, 2);
  for (const request of listed)
    t.like(request, {
      states: [JobState.JOB_STATE_FAILED, JobState.JOB_STATE_RUNNING],
      modelPrefix: 'ti',
      createdFrom: new Date('2026-01-31T00:00:00Z'),
      createdBefore: new Date('2026-02-01T12:00:00Z'),
    });
  const { exitCode, err } = await run(['jobs', '--state', 'gone', '--address', address]);
  t.is(exitCode, 2);
  t.regex(err, /--state: wanted one or more of PENDING, .*; got "gone"/);
  t.regex((await run(['jobs', '--since', 'today'])).err, /--since: wanted a date such as .*; got "today"/);
});

test('jobs delete and models delete remove what they name, and models delete needs --checkpoint or --all', async (t) => {
  const { address, deleted } = await fakeTrainer(t);
  for (const words of [
    ['jobs', 'delete', 'job-1'],
    ['models', 'delete', 'tiny', '--checkpoint', '0'],
    ['models', 'delete', 'tiny', '--all'],
  ])
    t.is((await run([...words, '--address', address])).exitCode, 0);
  t.deepEqual(deleted, ['job-1', 'tiny 0', 'tiny']);
  const { exitCode, err } = await run(['models', 'delete', 'tiny', '--address', address]);
  t.is(exitCode, 2);
  t.regex(err, /wanted --checkpoint STEP or --all/);
  t.is(deleted.length, 3);
});

test("a call's error is one line, with --debug its stack follows", async (t) => {
  const { address } = await fakeTrainer(t);
  const { exitCode, err } = await run(['jobs', 'show', 'nothing', '--address', address]);
  t.is(exitCode, 1);
  t.is(err, 'error: there is no job nothing\n');
  t.regex((await run(['jobs', 'show', 'nothing', '--debug', '--address', address])).err, /\n {4}at /);
});

test('the folder has only the files that were asked for', async (t) => {
  const { address } = await fakeTrainer(t, [[snapshot, grid, metrics(1), succeeded]]);
  const folder = await freshFolder();
  await run(['watch', 'job-1', '--csv', join(folder, 'm.csv'), '--address', address]);
  t.deepEqual(await readdir(folder), ['m.csv']);
});

async function until(met: () => boolean): Promise<void> {
  while (!met()) await new Promise((resolve) => setImmediate(resolve));
}
