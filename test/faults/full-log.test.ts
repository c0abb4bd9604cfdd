/** A log that can't be written, by a disk that is full: /dev/full. */

import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';

import test from 'ava';

import { pause, type DiffusionError } from '../../shared/foundation/index.js';
import { callUnary, connectTrainer, whenReady } from '../../shared/rpc/index.js';
import { freePort } from '../minio-server.js';
import { checkpointDigests, create, makeFolders, tinyRecipe, watch } from '../integration/trainer-fixture.js';
import { spawnService } from './spawn-service.js';

test('a trainer whose log disk is full trains, answers, and commits when it is stopped [fault A8]', async (t) => {
  const folders = await makeFolders();
  const store = { kind: 'local' as const, folder: join(folders.root, 'store') };
  const address = `127.0.0.1:${await freePort()}`;
  const full = openSync('/dev/full', 'w');
  const { child, exited } = await spawnService(
    'trainer',
    {
      IP_DIFFUSION_TRAINER_ADDRESS: address,
      IP_DIFFUSION_STORE: store.folder,
      IP_DIFFUSION_CACHE: folders.cache,
      IP_DIFFUSION_LOG_LEVEL: 'trace',
    },
    { stderr: full },
  );
  closeSync(full);
  const client = connectTrainer(address);
  await whenReady(client, 30_000);
  const recipe = tinyRecipe(folders.images, {
    name: 'full-log',
    training: { steps: 1_000_000, checkpointEverySteps: 1_000_000 },
  });
  const { jobId } = await onceStarted(() => create(client, recipe));
  // An internal error is logged, too.
  await t.throwsAsync(callUnary(client, client.getTrainingJob, { jobId: 'no-such-job' }), {
    message: /no job of this id/,
  });
  await t.throwsAsync(
    watch(client, jobId, (event) => {
      if (event.$case === 'stepMetrics' && event.value.step === 3) child.kill('SIGTERM');
    }),
    { message: /stopping/ },
  );
  t.is(await exited, 0);
  const [step] = [...(await checkpointDigests(store, jobId)).keys()];
  t.true((step ?? 0) >= 3, `the last commit is of step ${step ?? 'none'}`);
  client.close();
  await folders.remove();
});

/** The log, which can't be read here, would say that the service has started. */
async function onceStarted<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if ((error as DiffusionError).reason !== 'SERVICE_STARTING') throw error;
      await pause(50);
    }
  }
}
