/** Everything on both stores, and on a PJRT device: images, trainer, checkpoint, sampler, streamed images. */
import { join } from 'node:path';

import test from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import { connectSampler, serviceLog } from '../../shared/rpc/index.js';
import { samplingWire } from '../../shared/contract/index.js';
import { decodeImage } from '../../shared/images/index.js';
import { engineEnvironment } from '../../shared/foundation/index.js';
import { storeFromSettings, storeSettings } from '../../shared/store/index.js';
import { CPU_PLUGIN, TEST_ALL } from '../engine/pjrt/plugin-file.js';
import { GO_MISSING, startMinio } from '../minio-server.js';
import { generate, generated } from '../sampler-service/sampler-fixture.js';
import {
  JobState,
  makeFolders,
  manifestOf,
  openTrainer,
  settingsFor,
  tinyRecipe,
  train,
} from './trainer-fixture.js';

const folders = await makeFolders();
const minio = await startMinio();

test.after.always(async () => {
  await minio?.stop();
  await folders.remove();
});

const STORES = {
  'a folder': { IP_DIFFUSION_STORE: join(folders.root, 'store') },
  MinIO: minio && {
    IP_DIFFUSION_STORE: `s3://${minio.bucket}/pair`,
    IP_DIFFUSION_S3_ENDPOINT: `http://${minio.endpoint}:${minio.port}`,
    IP_DIFFUSION_S3_ACCESS_KEY: minio.accessKey,
    IP_DIFFUSION_S3_SECRET_KEY: minio.secretKey,
  },
  // The plugin takes minutes to compile a training step where the machine is busy: `npm run test:pjrt`.
  ...(TEST_ALL &&
    CPU_PLUGIN !== undefined && {
      'a folder, both on a plugin': {
        IP_DIFFUSION_STORE: join(folders.root, 'plugin-store'),
        IP_DIFFUSION_DEVICE: 'cpu-pjrt',
      },
    }),
};

for (const [name, environment] of Object.entries(STORES)) {
  test(`the sampler samples from what the trainer commits to ${name}, with the same contract`, async (t) => {
    if (environment === undefined) {
      t.log(GO_MISSING);
      t.pass();
      return;
    }
    const store = storeSettings(environment, '');
    const engine = engineEnvironment({ ...process.env, ...environment });
    const trainer = await openTrainer(settingsFor(folders, store, { engineEnvironment: engine }));
    const recipe = tinyRecipe(folders.images, { name: 'pair' });
    const job = await train(trainer.client, recipe);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED);
    await trainer.stop();
    const { engine: build } = await manifestOf(await storeFromSettings(store), job.jobId, 4);
    t.is(build?.name, 'IP_DIFFUSION_DEVICE' in environment ? 'pjrt' : 'compiled');

    const sampler = await startSampler(
      { ...readSettings({ ...process.env, ...environment }), address: '127.0.0.1:0' },
      serviceLog('test', 'silent'),
    );
    const client = connectSampler(`127.0.0.1:${sampler.port}`);
    const { accepted, images, completed } = await generated(
      generate(client, {
        model: 'pair',
        count: 3,
        seed: 7n,
        settings: samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 5 } }),
      }),
    );
    client.close();
    await sampler.stop();

    t.is(accepted.checkpoint?.jobId, job.jobId);
    t.is(accepted.checkpoint?.step, 4);
    t.is(accepted.checkpoint?.recipe?.inputPerturbation?.gamma, 0.1);
    t.deepEqual(accepted.timesteps, [39, 29, 20, 10, 0]);
    t.is(completed.images, 3);
    t.deepEqual([...images.keys()], [0, 1, 2]);
    for (const bytes of images.values()) {
      t.is((await decodeImage(bytes, { imageSize: 8, channels: 3 })).sourceWidth, 8);
    }
  });
}
