import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';

import { callUnary } from '../../shared/rpc/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { storeFromSettings } from '../../shared/store/index.js';
import { scrape } from '../metrics/samples.js';
import {
  checkpointDigests,
  create,
  get,
  ErrorReason,
  JobState,
  makeFolders,
  openTrainer,
  resume,
  settingsFor,
  terminalOf,
  tinyRecipe,
  train,
  watch,
  type Event,
  type Job,
  type Message,
} from './trainer-fixture.js';
import { metricsAt } from '../rpc/security.js';

const STEPS = 8;

const folders = await makeFolders();
const store = { kind: 'local' as const, folder: join(folders.root, 'store') };
const trainer = await openTrainer(settingsFor(folders, store, { metrics: metricsAt('127.0.0.1:0') }));
const { client } = trainer;

let straightJob = '';

test.after.always(async () => {
  await trainer.stop();
  await folders.remove();
});

const recipeNamed = (name: string, steps: number, sampleEverySteps = 0) =>
  tinyRecipe(folders.images, { name, training: { steps, sampleEverySteps } });

function isCommit(event: Event, step: number): boolean {
  return event.$case === 'checkpointCommitted' && event.value.step === step;
}

function stepsTold(messages: readonly Message[]): number[] {
  return messages.flatMap(({ event }) => (event?.$case === 'stepMetrics' ? [event.value.step] : []));
}

function timesInState(messages: readonly Message[], state: number): number {
  return messages.filter(({ event }) => event?.$case === 'stateChanged' && event.value.state === state)
    .length;
}

test.serial(
  'a watch shows a job from its first step to its end, which comes after its last checkpoint',
  async (t) => {
    const created = await create(client, recipeNamed('straight', STEPS, 4));
    const messages = await watch(client, created.jobId);
    const job = terminalOf(messages);
    t.is(job.message, `all ${STEPS} steps are done`);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED);
    t.is(job.checkpointStep, STEPS);
    t.is(job.recipe?.noiseSchedule?.betasSha256.length, 64);
    t.deepEqual(stepsTold(messages), [1, 2, 3, 4, 5, 6, 7, 8]);
    const commits = messages.flatMap(({ event }) =>
      event?.$case === 'checkpointCommitted' ? [event.value.step] : [],
    );
    t.deepEqual(commits, [2, 4, 6, 8]);
    const size = messages.flatMap(({ event }) =>
      event?.$case === 'checkpointCommitted' ? [Number(event.value.sizeBytes)] : [],
    )[0];
    const request = { recipe: job.recipe, requestId: '', validateOnly: true };
    const { estimate } = await callUnary(client, client.createTrainingJob, request);
    t.true(
      Math.abs(Number(estimate?.checkpointBytes) / (size ?? 0) - 1) < 0.01,
      'a checkpoint has the size that was estimated',
    );
    const grids = messages.flatMap(({ event }) => (event?.$case === 'sampleGrid' ? [event.value.image] : []));
    t.is(grids.length, 2);
    t.true((grids[0]?.data.length ?? 0) > 100);
    t.deepEqual(await get(client, job.jobId), job);
    straightJob = job.jobId;
  },
);

test.serial(
  'metrics are finite, steps increase, and the rate is unset before it is known [fault 115]',
  async (t) => {
    const messages = await watch(client, straightJob);
    const metrics = messages.flatMap(({ event }) => (event?.$case === 'stepMetrics' ? [event.value] : []));
    t.is(metrics[0]?.remaining, undefined);
    t.is(metrics[0]?.imagesPerSecond, 0);
    t.true((metrics[1]?.imagesPerSecond ?? 0) > 0);
    t.is(metrics.at(-1)?.samplesSeen, BigInt(STEPS * 4));
    t.is(metrics.at(-1)?.epoch, 2n);
    for (const { loss, mse, vlb, gradNorm, paramNorm, inputNoiseVariance } of metrics) {
      for (const metric of [loss, mse, vlb, gradNorm, paramNorm, inputNoiseVariance])
        t.true(Number.isFinite(metric));
    }
  },
);

test.serial('Prometheus reads what the job did', async (t) => {
  const sizes = (await watch(client, straightJob)).flatMap(({ event }) =>
    event?.$case === 'checkpointCommitted' ? [Number(event.value.sizeBytes)] : [],
  );
  const samples = await scrape(trainer.metricsPort);
  const of = (name: string) => samples.get(`ip_diffusion_trainer_${name}`);
  t.is(of('optimizer_steps_total'), STEPS);
  t.is(of('commit_seconds_count'), sizes.length);
  t.is(
    of('commit_bytes_total'),
    sizes.reduce((sum, size) => sum + size, 0),
  );
  t.is(of('jobs_ended_total{state="SUCCEEDED",reason="none"}'), 1);
  t.is(of('engine_restarts_total'), 0);
  t.is(of('waiting_commits'), 0);
  // Most objects are the engine's: those of its checkpoints.
  const there = await storeFromSettings(store);
  let objects = 0;
  for await (const key of there.list('jobs/')) if (key !== '') objects += 1;
  await there.close();
  const puts = samples.get('ip_diffusion_store_calls_total{operation="put",outcome="OK"}') ?? 0;
  t.true(puts >= objects, `${puts} calls put ${objects} objects`);
});

test.serial(
  'a watch from a position has the events after it, and ends at once where the job is finished [fault 108, 113]',
  async (t) => {
    const all = await watch(client, straightJob);
    const middle = all[5]?.position;
    const rest = await watch(client, straightJob, undefined, middle);
    t.is(rest[0]?.event?.$case, 'snapshot');
    t.deepEqual(rest[0]?.position, middle);
    t.deepEqual(rest.slice(1), all.slice(6));
    const none = await watch(client, straightJob, undefined, all.at(-1)?.position);
    t.deepEqual(
      none.map(({ event }) => event?.$case),
      ['snapshot', 'terminal'],
    );
  },
);

test.serial(
  'a killed engine is replaced, and the tensors equal those of an uninterrupted run [fault 62]',
  async (t) => {
    const created = await create(client, recipeNamed('engine-killed', STEPS));
    let killed = false;
    const messages = await watch(client, created.jobId, (event) => {
      if (killed || !isCommit(event, 2)) return;
      killed = true;
      process.kill(trainer.enginePid(), 'SIGKILL');
    });
    const job = terminalOf(messages);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED);
    t.is(job.attempt, 2);
    t.is((await scrape(trainer.metricsPort)).get('ip_diffusion_trainer_engine_restarts_total'), 1);
    t.is(timesInState(messages, JobState.JOB_STATE_RETRYING), 1);
    const [straight, replaced] = [
      await checkpointDigests(store, straightJob),
      await checkpointDigests(store, job.jobId),
    ];
    t.is(straight.size, 4);
    t.deepEqual(replaced, straight);
  },
);

test.serial(
  'a finished job that is resumed with more steps equals one that had them from the start [fault 44, 45]',
  async (t) => {
    const created = await create(client, recipeNamed('extended', 4));
    t.is(terminalOf(await watch(client, created.jobId)).checkpointStep, 4);
    const refused = await t.throwsAsync(resume(client, created.jobId, { noiseSchedule: { timesteps: 50 } }));
    t.like(refused, {
      code: 'FAILED_PRECONDITION',
      violations: [{ field: 'recipe.noise_schedule.timesteps' }],
    });
    const fewer = await t.throwsAsync(resume(client, created.jobId, { training: { steps: 3 } }));
    t.like(fewer, { code: 'FAILED_PRECONDITION', violations: [{ field: 'recipe.training.steps' }] });

    const resumed = await resume(client, created.jobId, { training: { steps: STEPS } });
    t.is(resumed.state, JobState.JOB_STATE_PENDING);
    const active = await t.throwsAsync(resume(client, created.jobId, {}));
    t.like(active, { code: 'FAILED_PRECONDITION', reason: 'JOB_ACTIVE' });
    t.is(terminalOf(await watch(client, created.jobId)).state, JobState.JOB_STATE_SUCCEEDED);
    t.deepEqual(await checkpointDigests(store, created.jobId), await checkpointDigests(store, straightJob));
  },
);

test.serial('a resumption takes the fields of its mask, and is done once for its request_id', async (t) => {
  const { jobId } = await create(client, recipeNamed('masked', 2));
  t.is(terminalOf(await watch(client, jobId)).state, JobState.JOB_STATE_SUCCEEDED);
  const changes = { training: { steps: 4, checkpointEverySteps: 1 } };
  const once = { updateMask: ['training.steps'], requestId: 'the-request' };
  const [first, second] = [
    await resume(client, jobId, changes, once),
    await resume(client, jobId, changes, once),
  ];
  t.is(second.attempt, first.attempt);
  const ended = terminalOf(await watch(client, jobId));
  t.like(ended, { state: JobState.JOB_STATE_SUCCEEDED, checkpointStep: 4, attempt: 2 });
  t.like(ended.recipe?.training, { steps: 4, checkpointEverySteps: 2 });
  t.deepEqual(await resume(client, jobId, changes, once), ended, 'also when it has ended');
  const other = await t.throwsAsync(resume(client, jobId, { training: { steps: 5 } }, once));
  t.like(other, { code: 'ALREADY_EXISTS', reason: 'REQUEST_ID_REUSED' });
  for (const path of ['training', 'training.epochs', 'name.x', ''])
    t.like(await t.throwsAsync(resume(client, jobId, changes, { updateMask: [path] })), {
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'update_mask.paths[0]' }],
    });
  // A masked field that is unset takes the preset's value.
  const mask = ['training.steps', 'training.checkpoint_every_steps'];
  const resumed = await resume(client, jobId, { training: { steps: 5 } }, { updateMask: mask });
  t.like(resumed.recipe?.training, {
    steps: 5,
    checkpointEverySteps: resolveRecipe({}, 'preset').training.checkpointEverySteps,
  });
  t.is(terminalOf(await watch(client, jobId)).state, JobState.JOB_STATE_SUCCEEDED);
});

test.serial(
  'cancelling commits what was trained, and cancelling again changes nothing [fault 43]',
  async (t) => {
    const created = await create(client, recipeNamed('cancelled', 100_000));
    let answer: Promise<Job | undefined> | undefined;
    const messages = await watch(client, created.jobId, (event) => {
      if (event.$case === 'stepMetrics' && answer === undefined) {
        answer = new Promise((resolve, reject) => {
          client.cancelTrainingJob({ jobId: created.jobId }, (error, response) => {
            if (error === null) resolve(response.job);
            else reject(error);
          });
        });
      }
    });
    const job = terminalOf(messages);
    t.is(job.state, JobState.JOB_STATE_CANCELLED);
    t.true(job.step > 0);
    t.is(job.checkpointStep, job.step);
    t.is((await answer)?.state, JobState.JOB_STATE_CANCELLING);
    t.is(timesInState(messages, JobState.JOB_STATE_CANCELLING), 1);
    const again = await callUnary(client, client.cancelTrainingJob, { jobId: created.jobId });
    t.deepEqual(again.job, job);
  },
);

test.serial('a data set without images ends the job with that reason [fault 46]', async (t) => {
  const empty = await mkdtemp(join(folders.root, 'empty-'));
  const job = await train(client, tinyRecipe(empty, { name: 'without-images' }));
  t.is(job.state, JobState.JOB_STATE_FAILED);
  t.is(job.failureReason, ErrorReason.ERROR_REASON_DATASET_EMPTY);
});

test.serial('a changed data set is refused, and the checkpoint is not changed [fault 50]', async (t) => {
  const [first = ''] = await readdir(folders.images);
  await rm(join(folders.images, first));
  await resume(client, straightJob, { training: { steps: STEPS + 2 } });
  const job = terminalOf(await watch(client, straightJob));
  t.is(job.state, JobState.JOB_STATE_FAILED);
  t.is(job.failureReason, ErrorReason.ERROR_REASON_DATASET_CHANGED);
  t.is((await checkpointDigests(store, straightJob)).size, 4);
});
