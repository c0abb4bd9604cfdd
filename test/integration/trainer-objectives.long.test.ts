/** What a job is trained to do, end to end: ADM-GP, v, the perturbation that was asked for, and a job that diverges. */
import { join } from 'node:path';

import test from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import { connectSampler, serviceLog } from '../../shared/rpc/index.js';
import { recipeFromWire, samplingWire } from '../../shared/contract/index.js';
import { listCommits } from '../../shared/models/index.js';
import { storeFromSettings, storeSettings } from '../../shared/store/index.js';
import { generate, generated } from '../sampler-service/sampler-fixture.js';
import {
  create,
  ErrorReason,
  JobState,
  makeFolders,
  manifestOf,
  openTrainer,
  settingsFor,
  terminalOf,
  tinyRecipe,
  train,
  watch,
} from './trainer-fixture.js';

const folders = await makeFolders();
const environment = { IP_DIFFUSION_STORE: join(folders.root, 'store') };
const settings = storeSettings(environment, '');
const trainer = await openTrainer(settingsFor(folders, settings));
const { client } = trainer;

test.after.always(async () => {
  await trainer.stop();
  await folders.remove();
});

/** Two images of a model, in three steps, from a new sampler. */
async function sampled(model: string): ReturnType<typeof generated> {
  const sampler = await startSampler(
    { ...readSettings({ ...process.env, ...environment }), address: '127.0.0.1:0' },
    serviceLog('test', 'silent'),
  );
  const sampling = connectSampler(`127.0.0.1:${sampler.port}`);
  const steps = samplingWire.SamplerSettings.fromPartial({ timesteps: { $case: 'steps', value: 3 } });
  const result = await generated(generate(sampling, { model, count: 2, seed: 1n, settings: steps }));
  sampling.close();
  await sampler.stop();
  return result;
}

test.serial('ADM-GP trains, reports its penalty, commits its contract, and is sampled from', async (t) => {
  const gradientPenalty = { weight: 0.25 };
  const recipe = tinyRecipe(folders.images, {
    ...{ name: 'penalised', variant: 'ADM-GP', gradientPenalty, inputPerturbation: {} },
  });
  const { jobId } = await create(client, recipe);
  const messages = await watch(client, jobId);
  const job = terminalOf(messages);
  t.is(job.state, JobState.JOB_STATE_SUCCEEDED, job.message);
  const metrics = messages.flatMap(({ event }) => (event?.$case === 'stepMetrics' ? [event.value] : []));
  t.is(metrics.length, 4);
  for (const { gradientPenalty: penalty } of metrics) t.true(Number.isFinite(penalty));
  // The first answer is 0 whatever the input; that of a trained network is not.
  t.is(metrics[0]?.gradientPenalty, 0);
  t.true((metrics.at(-1)?.gradientPenalty ?? 0) > 0);

  const store = await storeFromSettings(settings);
  const manifest = await manifestOf(store, jobId, 4);
  await store.close();
  t.like(manifest.recipe, {
    ...{
      variant: 'ADM-GP',
      gradientPenalty: { ...gradientPenalty, estimator: 'hutchinson', stepSize: 0.01 },
    },
  });
  const { accepted, images } = await sampled('penalised');
  t.is(accepted.checkpoint?.recipe?.gradientPenalty?.weight, 0.25);
  t.is(images.size, 2);
});

test.serial(
  'a network that predicts v on a respaced process trains, is evaluated, and is sampled from',
  async (t) => {
    const recipe = tinyRecipe(folders.images, {
      ...{
        name: 'velocity',
        objective: { meanType: 'v' },
        noiseSchedule: { timesteps: 40, respacing: '5,3' },
      },
      evaluation: { images: 2, everySteps: 2 },
      training: { sampleEverySteps: 4 },
    });
    const messages = await watch(client, (await create(client, recipe)).jobId);
    const job = terminalOf(messages);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED, job.message);
    const evaluations = messages.flatMap(({ event }) => (event?.$case === 'evaluation' ? [event.value] : []));
    t.deepEqual(
      evaluations.map(({ step }) => step),
      [2, 4],
    );
    for (const { mse } of evaluations) t.true(mse > 0 && Number.isFinite(mse));
    t.true(messages.some(({ event }) => event?.$case === 'sampleGrid'));

    const { accepted, images } = await sampled('velocity');
    const { objective, noiseSchedule } = recipeFromWire(accepted.checkpoint?.recipe);
    t.like(
      { objective, noiseSchedule },
      { objective: { meanType: 'v' }, noiseSchedule: { respacing: '5,3' } },
    );
    // The first, the middle and the last of the eight timesteps that were trained on.
    t.deepEqual(accepted.timesteps, [7, 4, 0]);
    t.is(images.size, 2);
  },
);

test.serial('a job feeds its network the perturbation that was asked for', async (t) => {
  const recipe = tinyRecipe(folders.images, { name: 'perturbed', inputPerturbation: { gamma: 1 } });
  const messages = await watch(client, (await create(client, recipe)).jobId);
  const measured = messages.flatMap(({ event }) =>
    event?.$case === 'stepMetrics' ? [event.value.inputNoiseVariance] : [],
  );
  t.is(measured.length, 4);
  const mean = measured.reduce((sum, each) => sum + each, 0) / measured.length;
  // Of 3,072 values: off by 3 % or so.
  t.true(Math.abs(mean / 2 - 1) < 0.12, `${mean}`);
});

test.serial(
  'a job that diverges fails with that reason and keeps its last good checkpoint [fault 70]',
  async (t) => {
    const recipe = tinyRecipe(folders.images, {
      ...{ name: 'diverging', optimizer: { learningRate: 1 } },
      training: { steps: 200, checkpointEverySteps: 1 },
    });
    const job = await train(client, recipe);
    t.is(job.state, JobState.JOB_STATE_FAILED);
    t.is(job.failureReason, ErrorReason.ERROR_REASON_DIVERGED);
    t.true(job.checkpointStep > 0);
    const store = await storeFromSettings(settings);
    const commits = await listCommits(store, job.jobId);
    t.is(Math.max(...commits), job.checkpointStep);
    t.is((await manifestOf(store, job.jobId, Math.max(...commits))).step, job.checkpointStep);
    await store.close();
  },
);
