/** Images a second of a batch behind one sampler, and behind two. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';

import { noClaims, adoptPlan, makePlan, runBatch, samplerPool } from '../../shared/batch/index.js';
import { samplingWire } from '../../shared/contract/index.js';
import { systemClock } from '../../shared/foundation/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { spawnService } from '../faults/spawn-service.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { SMALL_RECIPE } from './small-sampler.js';
import { quantile, rounded, type Bench } from './table.js';

const [COUNT, SHARD, STEPS, ROUNDS] = [96, 12, 10, 3];
const { signal } = new AbortController();

export const samplers: Bench = async (say) => {
  const root = await mkdtemp(join(tmpdir(), 'samplers-'));
  const models = join(root, 'models');
  await mkdir(models);
  const store = await openLocalStore({ folder: models });
  await commitTiny(store, { step: 1, recipe: SMALL_RECIPE });
  say('two samplers with the 8M network');
  const services = await Promise.all(
    [0, 1].map(() => spawnService('sampler', { IP_DIFFUSION_STORE: models })),
  );
  try {
    const rates = new Map<number, number[]>();
    // The first round loads the weights.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const many of [1, 2]) {
        say(`round ${round} of ${ROUNDS}, ${many} samplers`);
        const addresses = services.slice(0, many).map(({ address }) => address);
        const rate = await rateOf(addresses, join(root, `out-${round}-${many}`));
        if (round > 0) rates.set(many, [...(rates.get(many) ?? []), rate]);
      }
    }
    const median = (many: number): number =>
      quantile(
        (rates.get(many) ?? []).sort((a, b) => a - b),
        0.5,
      );
    const load = (loadavg()[0] ?? 0).toFixed(1);
    return {
      about: `${COUNT} images of ${STEPS} ancestral steps with 8M parameters, in shards of ${SHARD}, two calls for each sampler; medians of ${ROUNDS} rounds in turns; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores, load ${load}`,
      rows: [1, 2].map((many) => ({
        samplers: many,
        'images/s': rounded(median(many)),
        'to one': rounded(median(many) / median(1)),
      })),
    };
  } finally {
    for (const { child } of services) child.kill('SIGTERM');
    await Promise.all(services.map(({ exited }) => exited));
    await store.close();
    await rm(root, { recursive: true, force: true });
  }
};

async function rateOf(addresses: readonly string[], out: string): Promise<number> {
  const pool = samplerPool({
    ...{ addresses, security: {}, clock: systemClock, patienceMs: 60_000 },
    onAway: () => undefined,
  });
  const store = await openLocalStore({ folder: out });
  try {
    const settings = samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: STEPS } });
    const asked = {
      model: 'bench',
      checkpointStep: undefined,
      weights: undefined,
      settings,
      seed: 1n,
    } as const;
    const rest = {
      firstIndex: 0,
      count: COUNT,
      classes: [],
      shardSize: SHARD,
      format: 'webdataset',
    } as const;
    const plan = await makePlan(pool, { ...asked, ...rest }, 'batch', signal);
    await adoptPlan(store, plan);
    const began = performance.now();
    const { made } = await runBatch({
      ...{ store, plan, pool, claims: noClaims, workers: 2 * addresses.length, priority: 'batch', signal },
      ...{ onProgress: () => undefined, onShard: () => undefined },
    });
    return (1000 * made) / (performance.now() - began);
  } finally {
    pool.close();
    await store.close();
  }
}
