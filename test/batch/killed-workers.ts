/**
 * A batch by three worker processes, of which one is killed, one is stopped for a while, and whose sampler is restarted:
 * it must end in the same bytes as one worker's.
 */

import { once } from 'node:events';
import { createHash, randomInt } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { pause } from '../../shared/foundation/index.js';
import { storeFromSettings, storeSettings } from '../../shared/store/index.js';
import { spawnService, type ServiceProcess } from '../faults/spawn-service.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { run } from '../cli/sinks.js';
import { spawnWorker, whenEvent, type WorkerProcess } from './spawn-worker.js';

export interface KilledWorkers {
  readonly root: string;
  readonly count: number;
  readonly shardSize: number;
  readonly steps: number;
  /** How long a worker, and the sampler, are away. */
  readonly awayMs: number;
  /** Where the batch of many workers goes; variables for it. */
  readonly output: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Who the many workers are. */
  readonly workersOf: (batch: ManyWorkersBatch) => ManyWorkers;
  readonly say?: (line: string) => void;
}

/** What the many workers make. */
export interface ManyWorkersBatch {
  /** Model, flags of the plan, `--out`. */
  readonly words: readonly string[];
  /** The sampler's address. */
  readonly server: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface ManyWorkers {
  /** Starts one, which prints an event `shard` for each shard that it has made, and makes one at a time. */
  readonly start: () => WorkerProcess;
  /** Called once the workers are started. */
  readonly begin: (workers: readonly WorkerProcess[]) => Promise<void>;
  /** Resolves when all images are made and the workers have ended or been told to. */
  readonly finish: (workers: readonly WorkerProcess[]) => Promise<void>;
}

/** Workers of `batch`: they share the shards by claims in the output. */
export function batchWorkers({ words, server, environment }: ManyWorkersBatch): ManyWorkers {
  return {
    start: () => spawnWorker(['batch', ...words, '--server', server, '--workers', '1'], environment),
    begin: () => Promise.resolve(),
    finish: async (workers) => {
      await Promise.all(workers.map(({ exited }) => exited));
    },
  };
}

export interface BatchBytes {
  /** SHA-256 by key. */
  readonly one: Readonly<Record<string, string>>;
  readonly many: Readonly<Record<string, string>>;
  /** Of the three workers: the signal that ended the first, the exit codes of the others. */
  readonly exits: readonly (number | string)[];
}

/** Makes the batch twice: by one worker to a folder, and by many with faults to the output. */
export async function makeWithFaults(options: KilledWorkers): Promise<BatchBytes> {
  const { root, count, shardSize, steps, awayMs, output, environment, say = () => undefined } = options;
  const models = join(root, 'models');
  await mkdir(models, { recursive: true });
  const store = await storeFromSettings(storeSettings({ IP_DIFFUSION_STORE: models }));
  await commitTiny(store, { step: 5 });
  await store.close();
  const server = `127.0.0.1:${await steadyPort()}`;
  const startSampler = async (): Promise<ServiceProcess> => {
    const service = await spawnService('sampler', {
      IP_DIFFUSION_STORE: models,
      IP_DIFFUSION_SAMPLER_ADDRESS: server,
    });
    if (!service.isRunning()) throw new Error(`the sampler did not start: ${service.log.join('\n')}`);
    return service;
  };
  let sampler = await startSampler();

  const plan = ['tiny', ...['--count', String(count), '--shard-size', String(shardSize)]];
  const settings = ['--steps', String(steps), '--sampler', 'ancestral'];
  const wordsFor = (out: string): string[] => [...plan, ...settings, '--out', out];
  const oneFolder = join(root, 'one');
  let began = performance.now();
  const since = (): string => `${((performance.now() - began) / 1000).toFixed(0)} s`;
  const alone = await run(['batch', ...wordsFor(oneFolder), '--server', server, '--workers', '1']);
  if (alone.exitCode !== 0) throw new Error(`one worker alone failed: ${alone.err}`);
  say(`one worker has made all images in ${since()}`);

  began = performance.now();
  const many = options.workersOf({ words: wordsFor(output), server, environment });
  const workers = [many.start(), many.start(), many.start()] as const;
  const [killed, stopped, third] = workers;
  await many.begin(workers);
  await whenEvent(killed, 'shard');
  killed.child.kill('SIGKILL');
  await killed.exited;
  say(`${since()}: one worker was killed, ${made(workers)} shards are made`);
  await whenEvent(stopped, 'shard');
  stopped.child.kill('SIGSTOP');
  say(`${since()}: one worker is stopped, ${made(workers)} shards are made`);
  await whenEvent(third, 'shard');
  sampler.child.kill('SIGKILL');
  await sampler.exited;
  say(`${since()}: the sampler was killed, ${made(workers)} shards are made`);
  await pause(awayMs);
  sampler = await startSampler();
  say(`${since()}: the sampler is back`);
  stopped.child.kill('SIGCONT');
  say(`${since()}: the stopped worker goes on`);
  await many.finish(workers);
  const exits = await Promise.all(workers.map(({ exited }) => exited));
  const shards = workers.map(({ events }) => events.filter(({ event }) => event === 'shard').length);
  const twice = made(workers) - Math.ceil(count / shardSize);
  say(`${since()}: complete; shards by worker: ${shards.join(', ')}; ${twice} were made twice`);
  sampler.child.kill('SIGTERM');
  await once(sampler.child, 'exit');
  return {
    one: await hashesOf({ IP_DIFFUSION_STORE: oneFolder }),
    many: await hashesOf({ ...environment, IP_DIFFUSION_STORE: output }),
    exits,
  };
}

/**
 * A port that connections don't take while nobody listens there: systems give these from 32768 on (Linux), and one of them
 * would keep the sampler from coming back.
 */
async function steadyPort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 30_000);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** How many shards the workers have made. */
function made(workers: readonly WorkerProcess[]): number {
  return workers.flatMap(({ events }) => events).filter(({ event }) => event === 'shard').length;
}

async function hashesOf(environment: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const store = await storeFromSettings(storeSettings(environment), { mustExist: true });
  const hashes: Record<string, string> = {};
  for await (const key of store.list(''))
    hashes[key] = createHash('sha256')
      .update((await store.get(key)).bytes)
      .digest('hex');
  await store.close();
  return hashes;
}
