/** Optional parts of recipes: evaluation, label dropout, warm start. */
import { cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';

import { callUnary } from '../../shared/rpc/index.js';
import { recipeToWire, weightsToWire } from '../../shared/contract/index.js';
import type { PartialRecipe } from '../../shared/recipe/index.js';
import {
  checkpointDigests,
  create,
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
  type Message,
} from './trainer-fixture.js';

const folders = await makeFolders(26);
const store = { kind: 'local' as const, folder: join(folders.root, 'store') };
const trainer = await openTrainer(settingsFor(folders, store));
const { client } = trainer;

test.after.always(async () => {
  await trainer.stop();
  await folders.remove();
});

const recipe = (name: string, over: PartialRecipe = {}): PartialRecipe =>
  tinyRecipe(folders.images, { name, ...over });

const WEIGHTS = 'weights.safetensors';
/** Its 24 images are an epoch of the 26 without the two held out. */
const BASE: PartialRecipe = {
  variant: 'ADM',
  inputPerturbation: { gamma: 0 },
  training: { steps: 4, batchSize: 6 },
};

let evaluatedJob = '';
let unevaluatedJob = '';

function evaluationsIn(messages: readonly Message[]) {
  return messages.flatMap(({ event }) => (event?.$case === 'evaluation' ? [event.value] : []));
}

function saidIn(messages: readonly Message[], text: string): boolean {
  return messages.some(({ event }) => event?.$case === 'stateChanged' && event.value.message.includes(text));
}

test.serial(
  'a job streams its errors on images held out, a tenth at most, and trains as it would without',
  async (t) => {
    const evaluation = { images: 64, everySteps: 3 };
    evaluatedJob = (await create(client, recipe('evaluated', { ...BASE, evaluation }))).jobId;
    const messages = await watch(client, evaluatedJob);
    const evaluations = evaluationsIn(messages);
    t.deepEqual(
      evaluations.map(({ step, images }) => [step, images]),
      [
        [3, 2],
        [4, 2],
      ],
    );
    for (const { mse, emaMse } of evaluations) t.true(mse > 0.1 && mse < 3 && emaMse > 0.1 && emaMse < 3);
    t.true(saidIn(messages, 'on 24 images, 2 held out instead of 64'));

    const off = { ...evaluation, everySteps: 0 };
    const job = await train(client, recipe('unevaluated', { ...BASE, evaluation: off }));
    unevaluatedJob = job.jobId;
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED);
    t.is(job.latestMetrics?.epoch, 1n);
    t.deepEqual(await checkpointDigests(store, evaluatedJob), await checkpointDigests(store, unevaluatedJob));
  },
);

test.serial('a job with classes trains with label dropout', async (t) => {
  const classes = join(folders.root, 'classes');
  for (const [i, file] of (await readdir(folders.images)).entries()) {
    await cp(join(folders.images, file), join(classes, i % 2 === 0 ? 'cats' : 'dogs', file));
  }
  const plain = recipe('guided');
  const job = await train(client, {
    ...plain,
    dataset: { ...plain.dataset, source: { kind: 'folder', path: classes, classFolders: true } },
    architecture: { ...plain.architecture, numClasses: 2 },
    evaluation: { images: 2, everySteps: 4 },
    training: { ...plain.training, labelDropout: 0.5 },
  });
  t.is(job.state, JobState.JOB_STATE_SUCCEEDED, job.message);
  t.is(job.recipe?.training?.labelDropout, 0.5);
});

test.serial(
  'a warm start begins with exactly the weights of another variant, and does not need that model afterwards',
  async (t) => {
    const settled = { model: 'unevaluated', checkpointStep: 4, weights: weightsToWire(0.99) };
    const asked = recipe('fine-tuned', {
      variant: 'ADM-IP',
      warmStart: { model: settled.model },
      // Adam then moves nothing, so a checkpoint holds what its run began with.
      optimizer: { learningRate: 1e-300 },
      training: { steps: 2 },
    });
    const request = { recipe: recipeToWire(asked), requestId: '', validateOnly: true };
    const validated = await callUnary(client, client.createTrainingJob, request);
    t.deepEqual(validated.estimate?.recipe?.warmStart, settled);

    const { jobId } = await create(client, asked);
    const messages = await watch(client, jobId);
    t.deepEqual(terminalOf(messages).recipe?.warmStart, settled);
    t.true(saidIn(messages, 'weights of model unevaluated, step 4'));
    const wanted = (await checkpointDigests(store, unevaluatedJob)).get(4)?.['ema_0.99.safetensors'];
    t.is(typeof wanted, 'string');
    const objects = (await checkpointDigests(store, jobId)).get(2);
    for (const name of [WEIGHTS, 'ema_0.9.safetensors', 'ema_0.99.safetensors']) {
      t.is(objects?.[name], wanted, name);
    }

    await rm(join(store.folder, 'jobs', unevaluatedJob), { recursive: true });
    await resume(client, jobId, { training: { steps: 3 } });
    t.is(terminalOf(await watch(client, jobId)).state, JobState.JOB_STATE_SUCCEEDED);
  },
);

test.serial('a job whose warm start weights are deleted while it waits fails and names them', async (t) => {
  const running = await create(client, recipe('running', { training: { steps: 100_000 } }));
  const waiting = await create(client, recipe('waiting', { warmStart: { model: 'evaluated' } }));
  await rm(join(store.folder, 'jobs', evaluatedJob, 'commits'), { recursive: true });
  await callUnary(client, client.cancelTrainingJob, { jobId: running.jobId });
  const job = terminalOf(await watch(client, waiting.jobId));
  t.is(job.state, JobState.JOB_STATE_FAILED);
  t.is(job.failureReason, ErrorReason.ERROR_REASON_WARM_START_LOST);
  t.regex(job.message, /weights of model evaluated, step 4/);
});
