import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { startMinio } from '../minio-server.js';
import { makeWithFaults } from './killed-workers.js';

/** `npm run test:pipelines` takes the large one: longer away than a claim is waited for. */
const SIZE =
  process.env['IP_DIFFUSION_TEST_PIPELINES'] === 'all'
    ? { count: 5000, shardSize: 50, awayMs: 70_000 }
    : { count: 60, shardSize: 6, awayMs: 200 };

test('workers that are killed or stopped, and a sampler that restarts, change no byte', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'killed-workers-'));
  const minio = await startMinio();
  t.teardown(async () => {
    await minio?.stop();
    await rm(root, { recursive: true, force: true });
  });
  // A bucket where there can be one: many machines share that, and not a folder.
  const bucket = minio && {
    output: `s3://${minio.bucket}/batch`,
    environment: {
      IP_DIFFUSION_S3_ENDPOINT: `http://${minio.endpoint}:${minio.port}`,
      IP_DIFFUSION_S3_ACCESS_KEY: minio.accessKey,
      IP_DIFFUSION_S3_SECRET_KEY: minio.secretKey,
    },
  };
  const { count, shardSize, awayMs } = SIZE;
  const { one, many, exits } = await makeWithFaults({
    ...{ root, count, shardSize, steps: 10, awayMs },
    ...(bucket ?? { output: join(root, 'many'), environment: {} }),
    say: (line) => {
      t.log(line);
    },
  });
  t.deepEqual(exits, ['SIGKILL', 0, 0]);
  t.is(Object.keys(one).length, 1 + 2 * (count / shardSize));
  t.deepEqual(many, one);
});
