import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { startMinio } from '../minio-server.js';
import { startTemporal } from '../pipelines/temporal-server.js';
import { pipelineWorkers } from '../pipelines/pipeline-workers.js';
import { batchWorkers, makeWithFaults, type BatchBytes, type KilledWorkers } from './killed-workers.js';

/**
 * `npm run test:pipelines` takes the large one: away for longer than a claim or a heartbeat is waited for, with more steps
 * so that it takes minutes.
 */
const isLarge = process.env['IP_DIFFUSION_TEST_PIPELINES'] === 'all';
const SIZE = isLarge
  ? { count: 5000, shardSize: 50, steps: 50, awayMs: 70_000 }
  : { count: 60, shardSize: 6, steps: 10, awayMs: 200 };

async function made(t: ExecutionContext, workersOf: KilledWorkers['workersOf']): Promise<BatchBytes> {
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
  return makeWithFaults({
    ...{ root, ...SIZE, workersOf },
    ...(bucket ?? { output: join(root, 'many'), environment: {} }),
    say: (line) => {
      t.log(line);
    },
  });
}

function sameBytes(t: ExecutionContext, { one, many }: BatchBytes): void {
  t.is(Object.keys(one).length, 1 + 2 * (SIZE.count / SIZE.shardSize));
  t.deepEqual(many, one);
}

test.serial('workers that are killed or stopped, and a sampler that restarts, change no byte', async (t) => {
  const bytes = await made(t, batchWorkers);
  t.deepEqual(bytes.exits, ['SIGKILL', 0, 0]);
  sameBytes(t, bytes);
});

const withTemporal = isLarge ? test.serial : test.serial.skip;

withTemporal('so it is with the workers of a pipeline', async (t) => {
  const temporal = await startTemporal();
  if (temporal === undefined) {
    t.log('Go is missing, which builds the Temporal server');
    t.pass();
    return;
  }
  t.teardown(() => temporal.stop());
  const bytes = await made(t, (batch) => pipelineWorkers(temporal.address, batch));
  t.deepEqual(bytes.exits, ['SIGKILL', 0, 0]);
  sameBytes(t, bytes);
});
