/** Settings of the engine reach it through the service, and a job reports missing kernels. */
import { join } from 'node:path';

import test from 'ava';

import {
  create,
  JobState,
  makeFolders,
  spawnTrainer,
  terminalOf,
  tinyRecipe,
  watch,
} from './trainer-fixture.js';

test('a job without the kernels reports that in its first event [fault A25]', async (t) => {
  const folders = await makeFolders();
  const trainer = await spawnTrainer({
    IP_DIFFUSION_STORE: join(folders.root, 'store'),
    IP_DIFFUSION_DATASET_CACHE: folders.cache,
    IP_DIFFUSION_NATIVE_KERNELS: 'off',
  });
  const { client } = trainer;
  if (client === undefined) throw new Error('the trainer did not listen');
  const { jobId } = await create(client, tinyRecipe(folders.images));
  const texts: string[] = [];
  const messages = await watch(client, jobId, (event) => {
    texts.push(
      JSON.stringify(event, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
    );
  });
  t.is(terminalOf(messages).state, JobState.JOB_STATE_SUCCEEDED);
  const expected =
    "without the engine's own kernels, which is slower: IP_DIFFUSION_NATIVE_KERNELS is off (to install them: unset IP_DIFFUSION_NATIVE_KERNELS)";
  t.true(texts.some((text) => text.includes('training begins on 12 images') && text.includes(expected)));
  client.close();
  trainer.kill('SIGTERM');
  t.is(await trainer.exited, 0);
  await folders.remove();
});
