import { join } from 'node:path';

import test from 'ava';

import { callStream, callUnary } from '../../shared/rpc/index.js';
import { recipeToWire, trainerWire } from '../../shared/contract/index.js';
import type { DiffusionError } from '../../shared/foundation/index.js';
import { resolveRecipe, type PartialRecipe } from '../../shared/recipe/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { createRecord } from '../../services/trainer/job-records.js';
import {
  create,
  get,
  JobState,
  list,
  makeFolders,
  openTrainer,
  present,
  settingsFor,
  spawnTrainer,
  terminalOf,
  tinyRecipe,
  watch,
} from './trainer-fixture.js';

const folders = await makeFolders();
const QUEUE = 5;
// A trainer without engines: refusals need none.
const idle = await openTrainer(
  settingsFor(
    folders,
    { kind: 'local', folder: join(folders.root, 'idle') },
    { concurrentJobs: 0, maxQueue: QUEUE },
  ),
);
const { client } = idle;

test.after.always(async () => {
  await idle.stop();
  await folders.remove();
});

const recipe = (over: PartialRecipe = {}): PartialRecipe => tinyRecipe(folders.images, over);

async function refusal(
  call: Promise<unknown>,
): Promise<Pick<DiffusionError, 'code' | 'reason'> & { fields: string[] }> {
  try {
    await call;
  } catch (error) {
    const { code, reason, violations } = error as DiffusionError;
    return { code, reason, fields: violations.map(({ field }) => field) };
  }
  throw new Error('the call was not refused');
}

async function cancelAll(): Promise<void> {
  const { jobs } = await list(client);
  for (const { jobId } of jobs) await callUnary(client, client.cancelTrainingJob, { jobId });
}

const badRecipes: readonly (readonly [title: string, field: string, over: PartialRecipe])[] = [
  ['name with a path', 'recipe.name', { name: '../x' }],
  ['name of 300 characters', 'recipe.name', { name: 'x'.repeat(300) }],
  ['name with a line break', 'recipe.name', { name: 'line\nbreak' }],
  ['name with a direction override', 'recipe.name', { name: '\u202ename' }],
  ['preset that is none', 'recipe.preset', { preset: 'no-such' as 'demo-32' }],
  ['training of no steps', 'recipe.training.steps', { training: { steps: 0 } }],
  ['training without end', 'recipe.training.steps', { training: { steps: 2 ** 32 - 1 } }],
  ['batch of none', 'recipe.training.batch_size', { training: { batchSize: 0 } }],
  [
    'microbatch that does not divide the batch',
    'recipe.training.microbatch_size',
    { training: { batchSize: 4, microbatchSize: 3 } },
  ],
  [
    'learning rate that is no number',
    'recipe.optimizer.learning_rate',
    { optimizer: { learningRate: Number.NaN } },
  ],
  ['negative learning rate', 'recipe.optimizer.learning_rate', { optimizer: { learningRate: -1 } }],
  ['learning rate of 1e30', 'recipe.optimizer.learning_rate', { optimizer: { learningRate: 1e30 } }],
  [
    'infinite gamma',
    'recipe.input_perturbation.gamma',
    { inputPerturbation: { gamma: Number.POSITIVE_INFINITY } },
  ],
  ['negative gamma', 'recipe.input_perturbation.gamma', { inputPerturbation: { gamma: -0.1 } }],
  ['schedule of no timesteps', 'recipe.noise_schedule.timesteps', { noiseSchedule: { timesteps: 0 } }],
  [
    'schedule of 4e9 timesteps',
    'recipe.noise_schedule.timesteps',
    { noiseSchedule: { timesteps: 4_000_000_000 } },
  ],
  [
    'image size of 7',
    'recipe.dataset.image_size',
    { dataset: { source: { kind: 'twemoji' }, imageSize: 7 } },
  ],
  ['dropout of 2', 'recipe.architecture.dropout', { architecture: { dropout: 2 } }],
  ['EMA rate of 2', 'recipe.ema.rates[0]', { ema: { rates: [2] } }],
  ['the same EMA rate twice', 'recipe.ema.rates', { ema: { rates: [0.99, 0.9, 0.99] } }],
  [
    'a list of a million levels',
    'recipe.architecture.channel_mult',
    { architecture: { channelMult: new Array<number>(1_000_000).fill(0) } },
  ],
  [
    'a list of a million resolutions',
    'recipe.architecture.attention_resolutions',
    { architecture: { attentionResolutions: new Array<number>(1_000_000).fill(0) } },
  ],
  [
    '130,000 betas that are none',
    'recipe.noise_schedule.betas',
    { noiseSchedule: { name: 'custom', betas: new Array<number>(130_000).fill(2) } },
  ],
  ['130,000 EMA rates', 'recipe.ema.rates', { ema: { rates: new Array<number>(130_000).fill(2) } }],
];

for (const [title, field, over] of badRecipes) {
  test(`refused, naming its field: ${title} [fault 33, 34, 35, 36]`, async (t) => {
    const { code, reason, fields } = await refusal(create(client, recipe(over)));
    t.deepEqual([code, reason], ['INVALID_ARGUMENT', 'RECIPE_INVALID']);
    t.true(fields.includes(field), `named were ${fields.join(', ')}`);
  });
}

test('an unknown wire value of an enum is refused, naming its field [fault 5]', async (t) => {
  const wire = recipeToWire(recipe());
  const objective = { ...present(wire.objective), lossType: 77 as 1 };
  const request = { recipe: { ...wire, objective }, requestId: '', validateOnly: false };
  const { code, fields } = await refusal(callUnary(client, client.createTrainingJob, request));
  t.is(code, 'INVALID_ARGUMENT');
  t.true(fields.includes('recipe.objective.loss_type'));
});

test('a request id that is too long or not printable is refused', async (t) => {
  for (const requestId of ['x'.repeat(65), 'new\nline', 'é']) {
    t.deepEqual(await refusal(create(client, recipe(), requestId)), {
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELD',
      fields: ['request_id'],
    });
  }
});

test('a missing folder is refused at once', async (t) => {
  const dataset = { source: { kind: 'folder' as const, path: join(folders.root, 'nowhere') }, imageSize: 8 };
  const { code, reason } = await refusal(create(client, recipe({ dataset })));
  t.deepEqual([code, reason], ['NOT_FOUND', 'DATASET_NOT_FOUND']);
});

test('a network whose parameters alone exceed the memory is refused before anything is created [fault 37]', async (t) => {
  const architecture = {
    modelChannels: 1024,
    numResBlocks: 8,
    channelMult: [16, 16, 16, 16],
    numHeadChannels: 64,
    attentionResolutions: [],
  };
  const { code, reason } = await refusal(create(client, recipe({ architecture })));
  t.deepEqual([code, reason], ['RESOURCE_EXHAUSTED', 'MEMORY_BUDGET']);
});

test('unknown jobs are not found and malformed ids are refused, in every method [fault 42]', async (t) => {
  for (const [jobId, code] of [
    ['no-such-job', 'NOT_FOUND'],
    ['../job', 'INVALID_ARGUMENT'],
    ['', 'INVALID_ARGUMENT'],
  ] as const) {
    t.is((await refusal(get(client, jobId))).code, code);
    t.is((await refusal(callUnary(client, client.cancelTrainingJob, { jobId }))).code, code);
    t.is(
      (
        await refusal(
          callUnary(client, client.resumeTrainingJob, trainerWire.ResumeTrainingJobRequest.create({ jobId })),
        )
      ).code,
      code,
    );
    t.is((await refusal(watch(client, jobId))).code, code);
  }
});

test('validating answers with the resolved recipe, an estimate and what is in the data set, and makes no job', async (t) => {
  const request = {
    recipe: recipeToWire(recipe({ name: 'only-validated' })),
    requestId: '',
    validateOnly: true,
  };
  const { job, estimate } = await callUnary(client, client.createTrainingJob, request);
  t.is(job, undefined);
  t.is(estimate?.recipe?.training?.steps, 4);
  t.is(estimate?.recipe?.variant, 5);
  t.true((estimate?.parameterCount ?? 0n) > 50_000n);
  t.true((estimate?.memoryBytes ?? 0n) > (estimate?.checkpointBytes ?? 0n));
  t.like(estimate?.dataset, { imageCount: 12n, minWidth: 16, maxHeight: 16 });
  const { jobs } = await list(client, { pageSize: 1000 });
  t.false(jobs.some(({ model }) => model === 'only-validated'));
});

test.serial('a hundred parallel requests of one id make one job [fault 38, 39]', async (t) => {
  const named = recipe({ name: 'once' });
  const jobs = await Promise.all(Array.from({ length: 100 }, () => create(client, named, 'the-request')));
  const again = await create(client, named, 'the-request');
  t.deepEqual([...new Set(jobs.map(({ jobId }) => jobId))], [again.jobId]);
  const { jobs: all } = await list(client);
  t.is(all.filter(({ model }) => model === 'once').length, 1);
  const other = await refusal(create(client, recipe({ name: 'other' }), 'the-request'));
  t.deepEqual([other.code, other.reason], ['ALREADY_EXISTS', 'REQUEST_ID_REUSED']);
  const taken = await refusal(create(client, named, 'another-request'));
  t.deepEqual([taken.code, taken.reason], ['ALREADY_EXISTS', 'MODEL_TAKEN']);
  await cancelAll();
});

test.serial(
  'a full queue refuses with a delay, and lists newest first, page by page [fault 41]',
  async (t) => {
    for (let i = 0; i < QUEUE; i++) await create(client, recipe({ name: `queued-${i}` }));
    const full = await t.throwsAsync(create(client, recipe({ name: 'one-too-many' })));
    t.like(full, { code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL', retryAfterMs: 60_000 });

    const names: string[] = [];
    let pageToken = '';
    do {
      const page = await list(client, { pageSize: 2, pageToken });
      t.true(page.jobs.length <= 2);
      names.push(...page.jobs.map(({ model }) => model));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    t.deepEqual(names.slice(0, QUEUE), ['queued-4', 'queued-3', 'queued-2', 'queued-1', 'queued-0']);

    t.deepEqual((await refusal(list(client, { pageToken: 'x' }))).fields, ['page_token']);
    await cancelAll();
  },
);

test.serial('lists have only the jobs that pass the filters', async (t) => {
  const before = new Date();
  await create(client, recipe({ name: 'filter-a' }));
  const between = present((await create(client, recipe({ name: 'filter-b' }))).createTime);
  await create(client, recipe({ name: 'other' }));
  const names = async (fields: Partial<trainerWire.ListTrainingJobsRequest>): Promise<string[]> =>
    (await list(client, { createdFrom: before, ...fields })).jobs.map(({ model }) => model);
  t.deepEqual(await names({}), ['other', 'filter-b', 'filter-a']);
  t.deepEqual(await names({ modelPrefix: 'filter-' }), ['filter-b', 'filter-a']);
  t.deepEqual(await names({ createdFrom: between }), ['other', 'filter-b']);
  t.deepEqual(await names({ createdBefore: between }), ['filter-a']);
  await cancelAll();
  const ended = [JobState.JOB_STATE_CANCELLED, JobState.JOB_STATE_FAILED];
  t.deepEqual(await names({ states: ended, modelPrefix: 'filter-' }), ['filter-b', 'filter-a']);
  t.deepEqual(await names({ states: [JobState.JOB_STATE_SUCCEEDED] }), []);
  const strange = await refusal(list(client, { states: [77 as trainerWire.JobState] }));
  t.deepEqual([strange.code, strange.fields], ['INVALID_ARGUMENT', ['states[0]']]);
  const million = new Array<trainerWire.JobState>(1_000_000).fill(JobState.JOB_STATE_RUNNING);
  const long = await refusal(list(client, { states: million }));
  t.deepEqual([long.code, long.fields], ['INVALID_ARGUMENT', ['states']]);
});

test.serial('jobs with long lists of betas are listed whole, in pages that fit a message', async (t) => {
  const settings = { kind: 'local', folder: join(folders.root, 'betas') } as const;
  const store = await openLocalStore(settings);
  const betas = Array.from({ length: 4000 }, (_, i) => 0.0001 + i * 1e-6);
  for (let i = 0; i < 150; i++) {
    const name = `betas-${String(i).padStart(3, '0')}`;
    await createRecord(store, {
      jobId: `${name}-1`,
      model: name,
      recipe: resolveRecipe(recipe({ name, noiseSchedule: { name: 'custom', betas } }), name),
      createdAt: `2019-01-01T00:00:00.${String(i).padStart(3, '0')}Z`,
    });
  }
  await store.close();
  const many = await openTrainer(settingsFor(folders, settings, { concurrentJobs: 0, maxQueue: 1 }));
  const found: string[] = [];
  let pages = 0;
  let pageToken = '';
  do {
    const page = await list(many.client, { pageSize: 1000, pageToken });
    found.push(...page.jobs.map(({ model }) => model));
    pageToken = page.nextPageToken;
    pages += 1;
  } while (pageToken !== '');
  t.is(new Set(found).size, 150);
  t.is(found.length, 150);
  t.true(pages > 1);
  await many.stop();
});

test.serial('a job that waits can be watched and cancelled', async (t) => {
  const { jobId } = await create(client, recipe({ name: 'waiting' }));
  const watching = watch(client, jobId, (event) => {
    if (event.$case === 'stateChanged') client.cancelTrainingJob({ jobId }, () => undefined);
  });
  const job = terminalOf(await watching);
  t.is(job.state, JobState.JOB_STATE_CANCELLED);
  t.deepEqual((await callUnary(client, client.cancelTrainingJob, { jobId })).job, job);
});

test.serial('a watcher that ends does not affect the others', async (t) => {
  const { jobId } = await create(client, recipe({ name: 'left' }));
  for await (const { event } of callStream(client, client.watchTrainingJob, { jobId, after: '' })) {
    if (event?.$case === 'stateChanged') break;
  }
  t.is((await get(client, jobId)).state, JobState.JOB_STATE_PENDING);
  await cancelAll();
});

test('a service that can not start says why in one line without a stack, and exits with 1 [fault 26]', async (t) => {
  const folder = join(folders.root, 'unused');
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [
      { IP_DIFFUSION_STORE: folder, IP_DIFFUSION_TRAINER_JOBS: 'many' },
      /IP_DIFFUSION_TRAINER_JOBS: wanted an integer/,
    ],
    [{ IP_DIFFUSION_STORE: join(folders.images, 'image-0.png') }, /local folder/],
    [
      {
        IP_DIFFUSION_STORE: folder,
        IP_DIFFUSION_TRAINER_ADDRESS: client.getChannel().getTarget().replace('dns:', ''),
      },
      /cannot listen/,
    ],
  ];
  for (const [environment, message] of cases) {
    const { client: none, exited, log } = await spawnTrainer(environment);
    t.is(none, undefined);
    t.is(await exited, 1);
    t.is(log.length, 1);
    t.regex(log[0] ?? '', message);
    t.notRegex(log[0] ?? '', /"stack"/);
  }
});
