/** SIGTERM: real processes end in order, whatever they are doing. */

import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import test from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { callStream, callUnary, connectSampler, connectTrainer } from '../../shared/rpc/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { generateRequest } from '../sampler-service/sampler-fixture.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { samplingWire } from '../../shared/contract/index.js';
import { spawnService } from './spawn-service.js';

test('a sampler that stops sends what resumes its unfinished images, and exits with 0 [fault 23]', async (t) => {
  const folder = await temporaryFolder(t);
  const store = await openLocalStore({ folder });
  await commitTiny(store, { step: 1 });
  await store.close();
  const { child, address, exited, log } = await spawnService('sampler', {
    IP_DIFFUSION_STORE: folder,
    IP_DIFFUSION_SAMPLER_DRAIN_SECONDS: '0',
  });
  const client = connectSampler(address);
  t.teardown(() => {
    child.kill('SIGKILL');
    client.close();
  });
  const settings = samplingWire.SamplerSettings.fromPartial({ timesteps: { $case: 'steps', value: 60 } });
  const tokens = new Set<number>();
  let stopped = false;
  const error = await (async () => {
    for await (const { event } of callStream(
      client,
      client.generate,
      generateRequest({ count: 400, settings }),
    )) {
      if (event?.$case === 'resumeToken') tokens.add(event.value.index);
      if (event?.$case !== 'progress' || event.value.stepsDone === 0n || stopped) continue;
      stopped = true;
      child.kill('SIGTERM');
    }
    return undefined;
  })().catch((thrown: unknown) => thrown);
  t.true(error instanceof DiffusionError, String(error));
  t.like(error, { code: 'UNAVAILABLE', reason: 'SERVICE_STOPPING' });
  t.true(tokens.size > 0);
  t.is(await exited, 0);
  t.true(log.some((line) => /"problems":\["the service is stopping"\].*"not ready"/.test(line)));
  client.close();
});

test('a trainer whose store says nothing exits with 0 [fault 23, A29]', async (t) => {
  // It takes connections and never answers.
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const folder = await temporaryFolder(t);
  const environment = {
    IP_DIFFUSION_STORE: 's3://bucket/models',
    IP_DIFFUSION_S3_ENDPOINT: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
    IP_DIFFUSION_S3_ACCESS_KEY: 'access',
    IP_DIFFUSION_S3_SECRET_KEY: 'secret',
    IP_DIFFUSION_CACHE: join(folder, 'cache'),
  };
  const { child, address, exited } = await spawnService('trainer', environment);
  const client = connectTrainer(address);
  await t.throwsAsync(callUnary(client, client.getTrainingJob, { jobId: 'any' }), { message: /starting/ });
  client.close();
  child.kill('SIGTERM');
  t.is(await exited, 0);
});
