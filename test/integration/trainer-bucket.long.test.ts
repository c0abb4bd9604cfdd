/** Jobs whose images are in a bucket: from MinIO to samples, and what is wrong with a bucket. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import { recipeToWire, samplingWire, trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { callUnary, connectSampler, serviceLog } from '../../shared/rpc/index.js';
import { fileAccess } from '../../shared/store/index.js';
import { gateBefore } from '../faults/gate.js';
import { folderStore, minioStore } from '../faults/stores.js';
import { GO_MISSING, startMinio, type MinioServer } from '../minio-server.js';
import { generate, generated } from '../sampler-service/sampler-fixture.js';
import { accessTo, bucketOf, type TestBucket } from '../store/buckets.js';
import {
  checkpointDigests,
  create,
  get,
  JobState,
  makeFolders,
  openTrainer,
  present,
  settingsFor,
  spawnTrainer,
  terminalOf,
  tinyRecipe,
  train,
  watch,
  type Client,
} from './trainer-fixture.js';

const folders = await makeFolders();
const minio = await startMinio();
if (minio === undefined) console.warn(GO_MISSING);
const UNAVAILABLE = trainerWire.StoreChange.STORE_CHANGE_UNAVAILABLE;

/** A test that is skipped where there is no server. */
function bucketTest(
  title: string,
  run: (t: ExecutionContext, server: MinioServer, bucket: TestBucket) => Promise<void>,
): void {
  if (minio === undefined) test.skip(title, (t) => t.pass());
  else test(title, (t) => run(t, minio, bucketOf(minio)));
}

test.before(async () => {
  if (minio === undefined) return;
  const bucket = bucketOf(minio);
  for (const name of await readdir(folders.images))
    await bucket.put(`images/${name}`, await readFile(join(folders.images, name)));
});
test.after.always(async () => {
  await minio?.stop();
  await folders.remove();
});

const inBucket = (url: string, name: string) =>
  tinyRecipe('', {
    name,
    dataset: { source: { kind: 'bucket', url, classFolders: false }, imageSize: 8, randomFlip: true },
  });

function validate(client: Client, recipe: ReturnType<typeof tinyRecipe>) {
  const request = { recipe: recipeToWire(recipe), requestId: '', validateOnly: true };
  return callUnary(client, client.createTrainingJob, request);
}

bucketTest(
  'images in MinIO are trained on, into MinIO, and sampled from; the keys stay where they were',
  async (t, server, bucket) => {
    const { environment, settings } = minioStore(server);
    const trainer = await spawnTrainer({ ...environment, IP_DIFFUSION_DATASET_CACHE: folders.cache });
    const client = present(trainer.client);
    const recipe = inBucket(bucket.address('images'), 'from-bucket');
    t.is((await validate(client, recipe)).estimate?.dataset?.imageCount, 12n);
    const job = await train(client, recipe);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED);
    t.deepEqual(job.recipe?.dataset?.source, {
      $case: 'bucket',
      value: { url: bucket.address('images'), classFolders: false },
    });

    const fromFolder = await train(client, tinyRecipe(folders.images, { name: 'from-folder' }));
    const [digests, same] = [
      await checkpointDigests(settings, job.jobId),
      await checkpointDigests(settings, fromFolder.jobId),
    ];
    t.deepEqual([...digests.keys()], [2, 4]);
    t.deepEqual([...digests], [...same], 'the same images are the same training, wherever they are');
    trainer.kill('SIGTERM');
    t.is(await trainer.exited, 0);
    for (const text of [
      ...trainer.log,
      JSON.stringify(job, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
    ])
      t.false(text.includes(server.secretKey));

    const sampler = await startSampler(
      { ...readSettings({ ...process.env, ...environment }), address: '127.0.0.1:0' },
      serviceLog('test', 'silent'),
    );
    const samples = connectSampler(`127.0.0.1:${sampler.port}`);
    const { completed } = await generated(
      generate(samples, {
        model: 'from-bucket',
        count: 2,
        seed: 7n,
        settings: samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 5 } }),
      }),
    );
    t.is(completed.images, 2);
    samples.close();
    await sampler.stop();
  },
);

bucketTest(
  'a bucket that is missing, empty, denied or not configured is refused, naming the field of its address',
  async (t, server, bucket) => {
    const store = folderStore(folders.root).settings;
    const [right, wrong, none] = [
      accessTo(server),
      accessTo({ ...server, secretKey: 'another-key' }),
      fileAccess({}),
    ];
    const cases = [
      [right, 's3://no-such-bucket/images', 'FAILED_PRECONDITION', 'STORE_BUCKET_MISSING'],
      [right, bucket.address('nothing-here'), 'NOT_FOUND', 'DATASET_NOT_FOUND'],
      [wrong, bucket.address('images'), 'FAILED_PRECONDITION', 'STORE_ACCESS_DENIED'],
      [none, bucket.address('images'), 'FAILED_PRECONDITION', 'STORE_NOT_CONFIGURED'],
    ] as const;
    for (const [access, url, code, reason] of cases) {
      const trainer = await openTrainer(settingsFor(folders, store, { fileAccess: access }));
      for (const ask of [
        validate(trainer.client, inBucket(url, 'refused')),
        create(trainer.client, inBucket(url, 'refused')),
      ]) {
        const error = await t.throwsAsync(ask, { instanceOf: DiffusionError });
        t.like(error, { code, reason });
        t.deepEqual(
          error.violations.map(({ field }) => field),
          ['recipe.dataset.bucket.url'],
        );
        t.true(error.message.includes(url));
        t.false(error.message.includes('another-key'));
      }
      await trainer.stop();
    }
  },
);

bucketTest(
  'a bucket that is unavailable before its images are read is waited for',
  async (t, server, bucket) => {
    const gate = await gateBefore(server.port);
    const trainer = await openTrainer(
      settingsFor(folders, folderStore(join(folders.root, 'outage')).settings, {
        fileAccess: accessTo(server, gate.port),
        datasetCacheFolder: join(folders.root, 'another-cache'),
      }),
    );
    const { jobId } = await create(trainer.client, inBucket(bucket.address('images'), 'retrying'));
    // The engine process starts more slowly than the gate closes.
    await gate.shut();
    let waited = 0;
    const messages = await watch(trainer.client, jobId, (event) => {
      if (event.$case !== 'storeReport' || event.value.change !== UNAVAILABLE) return;
      waited += 1;
      void gate.open();
    });
    t.is(waited, 1);
    t.is(terminalOf(messages).state, JobState.JOB_STATE_SUCCEEDED);
    t.is((await get(trainer.client, jobId)).attempt, 1);
    await trainer.stop();
    await gate.shut();
  },
);
