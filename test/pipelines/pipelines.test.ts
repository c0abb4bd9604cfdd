/** Pipelines over a real Temporal server. `npm run test:pipelines` runs these; `npm test` only where it is asked for. */

import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { pause } from '../../shared/foundation/index.js';
import { encodeImage } from '../../shared/images/index.js';
import { spawnWorker, whenEvent } from '../batch/spawn-worker.js';
import { fakeSampler, newImagesIn } from '../cli/fake-sampler.js';
import { JOB } from '../cli/fake-service.js';
import { fakeTrainer, type Watch } from '../cli/fake-trainer.js';
import { run } from '../cli/sinks.js';
import { GO_MISSING } from '../minio-server.js';
import { startTemporal } from './temporal-server.js';

const isAsked = process.env['IP_DIFFUSION_TEST_PIPELINES'] === 'all';
const server = isAsked ? await startTemporal() : undefined;
const withServer = server === undefined ? test.skip : test.serial;
if (isAsked && server === undefined) console.log(GO_MISSING);
const at = server?.address ?? '';

test.after.always(() => server?.stop());

const freshFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'pipelines-'));

interface Submitted {
  readonly id: string;
}

async function submit(...words: string[]): Promise<string> {
  const { exitCode, out, err } = await run(['pipeline', ...words, '--temporal', at, '--json']);
  if (exitCode !== 0) throw new Error(err);
  return (JSON.parse(out) as Submitted).id;
}

/** A worker in this process, until the test ends. */
async function worker(t: { teardown(end: () => Promise<void>): void }, ...words: string[]): Promise<void> {
  const stop = new AbortController();
  const running = run(['pipeline', 'worker', '--temporal', at, ...words], { signal: stop.signal });
  t.teardown(async () => {
    stop.abort();
    await running;
  });
  await pause(0);
}

/** A folder with images of one colour each. */
async function referenceFolder(): Promise<string> {
  const folder = await freshFolder();
  for (let i = 0; i < 12; i++) {
    const pixels = new Uint8Array(8 * 8 * 3).fill(20 * i);
    await writeFile(
      join(folder, `${i}.png`),
      await encodeImage(pixels, { width: 8, height: 8, channels: 3 }, 'png'),
    );
  }
  return folder;
}

const COUNT = ['--count', '40', '--shard-size', '4', '--steps', '3'];

withServer('a batch by two workers, of which one is killed, is complete and measured', async (t) => {
  const sampler = await fakeSampler(t);
  const [out, queue] = [join(await freshFolder(), 'out'), 'killed'];
  const own = ['--queue', queue, '--server', sampler.address, '--workers', '1'];
  const killed = spawnWorker(['pipeline', 'worker', '--temporal', at, ...own]);
  await whenEvent(killed, 'ready');
  const id = await submit(
    'submit',
    'tiny',
    ...COUNT,
    '--out',
    out,
    '--reference',
    await referenceFolder(),
    '--queue',
    queue,
  );
  // The plan's call, and two shards'.
  while (sampler.requests.length < 3) await pause(20);
  killed.child.kill('SIGKILL');
  await worker(t, ...own);
  const { exitCode, out: shown, err } = await run(['pipeline', 'watch', id, '--temporal', at]);
  t.is(err, '');
  t.is(exitCode, 0);
  t.regex(shown, /is complete: 40 images in .*\n.*NAME/s);
  t.is((await run(['batch', 'verify', out])).exitCode, 0);
  const report = JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) as {
    variants: { measured: { name: string; value: number }[] }[];
  };
  t.true((report.variants[0]?.measured.length ?? 0) > 0);
  t.regex(await readFile(join(out, 'report.md'), 'utf8'), /\| name \| step \|/);
  t.regex(
    (await run(['pipeline', 'list', '--queue', queue, '--temporal', at])).out,
    /generateAndMeasure +COMPLETED/,
  );
});

withServer(
  'cancelling ends the calls of workers; submitted again, the pipeline makes the rest',
  async (t) => {
    const ended: number[] = [];
    const hanging = await fakeSampler(t, { hangs: true, onEnd: (firstIndex) => ended.push(firstIndex) });
    const [out, queue] = [join(await freshFolder(), 'out'), 'cancelled'];
    await worker(t, '--queue', queue, '--server', hanging.address, '--workers', '1');
    const words = ['submit', 'tiny', ...COUNT, '--out', out, '--queue', queue];
    const id = await submit(...words);
    while (hanging.requests.length < 2) await pause(20);
    const calls = ended.length;
    t.is((await run(['pipeline', 'cancel', id, '--temporal', at])).exitCode, 0);
    const { exitCode, err } = await run(['pipeline', 'watch', id, '--temporal', at]);
    t.is(exitCode, 1);
    t.regex(err, /was cancelled/);
    t.true(ended.length > calls);
    const good = await fakeSampler(t);
    await worker(t, '--queue', `${queue}-again`, '--server', good.address);
    t.is(await submit(...words, '--queue', `${queue}-again`), id);
    t.is((await run(['pipeline', 'watch', id, '--temporal', at])).exitCode, 0);
    t.is((await run(['batch', 'verify', out])).exitCode, 0);
  },
);

withServer('an error that does not pass ends the pipeline with its reason', async (t) => {
  const [one, other] = [await fakeSampler(t), await fakeSampler(t)];
  const [out, queue] = [join(await freshFolder(), 'out'), 'differs'];
  await run(['batch', 'tiny', ...COUNT, '--out', out, '--server', one.address, '--plan-only']);
  await worker(t, '--queue', queue, '--server', other.address);
  const id = await submit('submit', 'tiny', ...COUNT, '--seed', '9', '--out', out, '--queue', queue);
  const { exitCode, err } = await run(['pipeline', 'watch', id, '--temporal', at]);
  t.is(exitCode, 1);
  t.regex(err, /failed: another batch is in .*seed: the output has "0"; asked for "9"/);
});

withServer('a sweep trains, samples and compares; a variant that fails is in the report', async (t) => {
  const ends = (state: trainerWire.JobState, model: string): Watch => [
    { $case: 'terminal', value: { ...JOB, model, state, checkpointStep: 5, message: 'of the test' } },
  ];
  const trainer = await fakeTrainer(t, [
    ends(trainerWire.JobState.JOB_STATE_SUCCEEDED, 'tiny'),
    ends(trainerWire.JobState.JOB_STATE_FAILED, 'tiny'),
  ]);
  const sampler = await fakeSampler(t);
  const folder = await freshFolder();
  const [out, queue, file] = [join(folder, 'out'), 'sweep', join(folder, 'sweep.json')];
  const variants = {
    small: { inputPerturbation: { gamma: 0.1 } },
    large: { inputPerturbation: { gamma: 0.2 } },
  };
  const recipe = { preset: 'demo-32', variant: 'ADM-IP', training: { steps: 3 } };
  await writeFile(file, JSON.stringify({ recipe, variants, count: 20, reference: await referenceFolder() }));
  await worker(
    t,
    ...['--queue', queue, '--server', sampler.address, '--trainer', trainer.address, '--workers', '1'],
  );
  const id = await submit('sweep', file, '--shard-size', '5', '--steps', '3', '--out', out, '--queue', queue);
  const { exitCode, out: shown, err } = await run(['pipeline', 'watch', id, '--temporal', at]);
  t.is(err, '');
  t.is(exitCode, 0);
  t.regex(shown, /TRAINING_FAILED: job job-1 is FAILED/);
  t.deepEqual(trainer.created.map(({ recipe: sent }) => sent?.inputPerturbation?.gamma).sort(), [0.1, 0.2]);
  t.is(newImagesIn(sampler.requests[0]).checkpointStep, 5);
  t.deepEqual(
    (await readdir(out)).filter((name) => name.startsWith('report')),
    ['report.json', 'report.md'],
  );
});

test("without Temporal's packages every command of pipeline says how to get them", async (t) => {
  const environment = { IP_DIFFUSION_CACHE: await freshFolder() };
  for (const words of [['list'], ['watch', 'x'], ['worker'], ['submit', 'm', '--count', '1', '--out', 'x']]) {
    const { exitCode, err } = await run(['pipeline', ...words], { environment });
    t.is(exitCode, 1);
    t.regex(err, /need Temporal's packages.*\nhint: npm run setup -- --temporal/);
  }
});
