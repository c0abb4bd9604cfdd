/**
 * A batch by three worker processes, of which one is killed, one is stopped for a while, and whose sampler is restarted:
 * it must end in the same bytes as one worker's.
 */

import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { pause } from '../../shared/foundation/index.js';
import { storeFromSettings, storeSettings } from '../../shared/store/index.js';
import { spawnService, type ServiceProcess } from '../faults/spawn-service.js';
import { freePort } from '../minio-server.js';
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
  readonly say?: (line: string) => void;
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
  const address = `127.0.0.1:${await freePort()}`;
  const startSampler = (): Promise<ServiceProcess> =>
    spawnService('sampler', { IP_DIFFUSION_STORE: models, IP_DIFFUSION_SAMPLER_ADDRESS: address });
  let sampler = await startSampler();

  const plan = ['tiny', ...['--count', String(count), '--shard-size', String(shardSize)]];
  const settings = ['--steps', String(steps), '--sampler', 'ancestral', '--server', address];
  const wordsFor = (out: string): string[] => ['batch', ...plan, ...settings, '--out', out, '--workers', '1'];
  const oneFolder = join(root, 'one');
  const alone = await run(wordsFor(oneFolder));
  if (alone.exitCode !== 0) throw new Error(`one worker alone failed: ${alone.err}`);
  say('one worker has made all images');

  const start = (): WorkerProcess => spawnWorker(wordsFor(output), environment);
  const workers = [start(), start(), start()] as const;
  const [killed, stopped, third] = workers;
  await whenEvent(killed, 'shard');
  killed.child.kill('SIGKILL');
  await killed.exited;
  say('one worker was killed');
  await whenEvent(stopped, 'plan');
  stopped.child.kill('SIGSTOP');
  say('one worker is stopped');
  await whenEvent(third, 'shard');
  sampler.child.kill('SIGKILL');
  await sampler.exited;
  say('the sampler was killed');
  await pause(awayMs);
  sampler = await startSampler();
  say('the sampler is back');
  stopped.child.kill('SIGCONT');
  say('the stopped worker goes on');
  const exits = await Promise.all(workers.map(({ exited }) => exited));
  sampler.child.kill('SIGTERM');
  await once(sampler.child, 'exit');
  return {
    one: await hashesOf({ IP_DIFFUSION_STORE: oneFolder }),
    many: await hashesOf({ ...environment, IP_DIFFUSION_STORE: output }),
    exits,
  };
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
