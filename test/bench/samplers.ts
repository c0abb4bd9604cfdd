/**
 * Images a second behind one sampler and behind two, each on a processor of its own as on a machine of its own: of a batch,
 * and of a pipeline where there is a Temporal server.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { run } from '../cli/sinks.js';
import { spawnWorker, whenEvent } from '../batch/spawn-worker.js';
import { openLocalStore } from '../../shared/store/index.js';
import { spawnService } from '../faults/spawn-service.js';
import { startTemporal } from '../pipelines/temporal-server.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { SMALL_RECIPE } from './small-sampler.js';
import { quantile, rounded, type Bench } from './table.js';

const [COUNT, SHARD, STEPS, ROUNDS] = [48, 6, 10, 3];
const QUEUE = 'samplers';

export const samplers: Bench = async (say) => {
  const root = await mkdtemp(join(tmpdir(), 'samplers-'));
  const models = join(root, 'models');
  await mkdir(models);
  const store = await openLocalStore({ folder: models });
  await commitTiny(store, { step: 1, recipe: SMALL_RECIPE });
  const services = await Promise.all(
    [0, 1].map(() => spawnService('sampler', { IP_DIFFUSION_STORE: models }, { hasOwnSession: true })),
  );
  // Before their engines start, which have as many threads as there are processors for them.
  for (const [processor, { child }] of services.entries())
    await promisify(execFile)('taskset', [
      '--all-tasks',
      '--cpu-list',
      '--pid',
      `${processor}`,
      `${child.pid}`,
    ]);
  say('two samplers with the 8M network, each on one processor');
  const addresses = services.map(({ address }) => address);
  const temporal = await startTemporal();
  const makers: Readonly<Record<string, Maker>> = {
    batch: batchSeconds,
    ...(temporal && { pipeline: pipelineSeconds(temporal.address) }),
  };
  try {
    const rates = new Map<string, number[]>();
    // The first round loads the weights.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [by, make] of Object.entries(makers)) {
        for (const many of [1, 2]) {
          say(`round ${round} of ${ROUNDS}, ${by} with ${many}`);
          const seconds = await make(addresses.slice(0, many), join(root, `out-${round}-${by}-${many}`));
          const key = `${by} ${many}`;
          if (round > 0) rates.set(key, [...(rates.get(key) ?? []), COUNT / seconds]);
        }
      }
    }
    const median = (by: string, many: number): number =>
      quantile(
        (rates.get(`${by} ${many}`) ?? []).sort((a, b) => a - b),
        0.5,
      );
    const load = (loadavg()[0] ?? 0).toFixed(1);
    return {
      about: `${COUNT} images of ${STEPS} ancestral steps with 8M parameters, in shards of ${SHARD}, two calls for each sampler, a processor for each sampler; medians of ${ROUNDS} rounds in turns; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores, load ${load}`,
      rows: Object.keys(makers).flatMap((by) =>
        [1, 2].map((many) => ({
          by,
          samplers: many,
          'images/s': rounded(median(by, many)),
          'to one': rounded(median(by, many) / median(by, 1)),
        })),
      ),
    };
  } finally {
    await temporal?.stop();
    for (const { child } of services) child.kill('SIGTERM');
    await Promise.all(services.map(({ exited }) => exited));
    await store.close();
    await rm(root, { recursive: true, force: true });
  }
};

/** Makes the images behind samplers, into a new output. @returns how long that took. */
type Maker = (addresses: readonly string[], out: string) => Promise<number>;

const planWords = (out: string): string[] => [
  ...['bench', '--count', String(COUNT), '--shard-size', String(SHARD)],
  ...['--steps', String(STEPS), '--sampler', 'ancestral', '--seed', '1', '--out', out],
];

const serverWords = (addresses: readonly string[]): string[] =>
  addresses.flatMap((address) => ['--server', address]);

/** Runs a command of the program in this process. @returns what it printed. */
async function ran(...words: readonly string[]): Promise<string> {
  const { exitCode, out, err } = await run(words);
  if (exitCode !== 0) throw new Error(`${words.join(' ')}: ${err}`);
  return out;
}

async function batchSeconds(addresses: readonly string[], out: string): Promise<number> {
  const began = performance.now();
  await ran('batch', ...planWords(out), ...serverWords(addresses));
  return (performance.now() - began) / 1000;
}

/** By Temporal's own times, since a watch looks every two seconds only. */
function pipelineSeconds(temporal: string): Maker {
  const at = ['--temporal', temporal, '--queue', QUEUE];
  return async (addresses, out) => {
    const worker = spawnWorker(['pipeline', 'worker', ...at, ...serverWords(addresses)]);
    await whenEvent(worker, 'ready');
    const { id } = JSON.parse(await ran('pipeline', 'submit', ...planWords(out), ...at, '--json')) as {
      id: string;
    };
    await ran('pipeline', 'watch', id, ...at);
    const listed = await ran('pipeline', 'list', ...at, '--json');
    worker.child.kill('SIGTERM');
    await worker.exited;
    // The runs that a pipeline was continued in have its id.
    const runs = listed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; startTime: string; closeTime: string })
      .filter((each) => each.id === id);
    const times = (of: 'startTime' | 'closeTime'): number[] => runs.map((each) => Date.parse(each[of]));
    return (Math.max(...times('closeTime')) - Math.min(...times('startTime'))) / 1000;
  };
}
