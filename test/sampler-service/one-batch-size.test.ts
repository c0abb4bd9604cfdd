/** Without the engine's own kernels a row's bytes may depend on the batch size, so there is only one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { connectSampler } from '../../shared/rpc/index.js';
import { samplingWire } from '../../shared/contract/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { spawnService } from '../faults/spawn-service.js';
import { generate, generated } from './sampler-fixture.js';
import { commitTiny } from './tiny-model.js';

test('with kernels switched off in the environment, the log says so, and an image is the same alone and among others [fault A25]', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'one-batch-size-'));
  await commitTiny(await openLocalStore({ folder }), { step: 1 });
  const { child, address, log, exited } = await spawnService('sampler', {
    IP_DIFFUSION_STORE: folder,
    IP_DIFFUSION_NATIVE_KERNELS: 'off',
  });
  const client = connectSampler(address);
  const settings = samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 3 } });
  const sample = (count: number) =>
    generated(
      generate(client, { count, settings, format: samplingWire.ImageFormat.IMAGE_FORMAT_RAW_FLOAT32 }),
    );
  const alone = await sample(1);
  for (const count of [2, 5, 11]) t.deepEqual((await sample(count)).images.get(0), alone.images.get(0));
  t.true(
    log.some((line) => /without its own kernels/.test(line)),
    log.join('\n'),
  );
  client.close();
  child.kill('SIGTERM');
  t.is(await exited, 0);
  await rm(folder, { recursive: true });
});
