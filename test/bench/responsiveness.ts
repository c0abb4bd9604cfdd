/** How fast a trainer answers a health check while its engine computes, beside the same trainer at rest. */

import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { credentials, makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';

import { startService } from '../../services/cli/start-service.js';
import { callStream, callUnary, connectTrainer } from '../../shared/rpc/index.js';
import { recipeToWire } from '../../shared/contract/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { quantile, rounded, type Bench } from './table.js';

const CHECKS = 300;
const EVERY_MS = 50;
const SERVICE = 'diffusion.trainer.v1.TrainerService';

interface HealthClient {
  check(request: { service: string }, callback: (error: ServiceError | null) => void): void;
  close(): void;
}

export const responsiveness: Bench = async (say) => {
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  const ports = deferred<number>();
  const trainer = startService(
    'trainer',
    {
      ...process.env,
      IP_DIFFUSION_STORE: join(folder, 'store'),
      IP_DIFFUSION_DATASET_CACHE: join(folder, 'images'),
      IP_DIFFUSION_TRAINER_ADDRESS: '127.0.0.1:0',
    },
    (line) => {
      const { port } = JSON.parse(line) as { port?: number };
      if (port !== undefined) ports.resolve(port);
    },
  );
  try {
    const address = `127.0.0.1:${await ports.promise}`;
    const Health = makeGenericClientConstructor(healthService, 'Health');
    const health = new Health(address, credentials.createInsecure()) as unknown as HealthClient;
    const client = connectTrainer(address);
    await latencies(health, 20);
    say('health checks of a trainer at rest');
    const atRest = await latencies(health, CHECKS);
    const recipe = recipeToWire({ name: 'bench', training: { steps: 1_000_000, sampleEverySteps: 0 } });
    const { job } = await callUnary(client, client.createTrainingJob, {
      recipe,
      requestId: '',
      validateOnly: false,
    });
    const jobId = job?.jobId ?? '';
    say('preparing images and the engine');
    for await (const { event } of callStream(client, client.watchTrainingJob, { jobId, after: '' })) {
      if (event?.$case === 'stepMetrics' && event.value.step >= 3n) break;
    }
    say('health checks of a trainer at work');
    const atWork = await latencies(health, CHECKS);
    health.close();
    client.close();
    return {
      about: `${CHECKS} health checks over gRPC, one every ${EVERY_MS} ms, demo-32 in training; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores, Node ${process.version}`,
      rows: [row('at rest', atRest), row('while training', atWork)],
    };
  } finally {
    trainer.kill();
    await trainer.exited;
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
};

async function latencies(health: HealthClient, count: number): Promise<number[]> {
  const measured: number[] = [];
  for (let i = 0; i < count; i++) {
    const beganMs = performance.now();
    const { promise, resolve, reject } = deferred();
    health.check({ service: SERVICE }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
    await promise;
    measured.push(performance.now() - beganMs);
    await delay(EVERY_MS);
  }
  return measured.sort((a, b) => a - b);
}

function row(trainer: string, sorted: readonly number[]): Record<string, string | number> {
  return {
    trainer,
    'median ms': rounded(quantile(sorted, 0.5)),
    'p99 ms': rounded(quantile(sorted, 0.99)),
    'longest ms': rounded(sorted.at(-1) ?? Number.NaN),
  };
}
