/** The work that pipelines give to workers, each piece of which may be made again after a worker has died. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  adoptPlan,
  FORMAT_NAMES,
  isCancelled,
  isComplete,
  makePlan,
  makeShard,
  missingShards,
  packBatch,
  readPlan,
  type AskedBatch,
  type SamplerPool,
} from '../../../shared/batch/index.js';
import { recipeToWire, samplingWire } from '../../../shared/contract/index.js';
import {
  cacheFolder,
  DiffusionError,
  invalidArgument,
  oneOf,
  violation,
  type Clock,
} from '../../../shared/foundation/index.js';
import { callUnary } from '../../../shared/rpc/index.js';
import {
  fileAccess,
  storeFromSettings,
  storeSettings,
  STORE_VARIABLE,
  type ObjectStore,
} from '../../../shared/store/index.js';
import { cancelJob, hasEnded, whenEnded } from '../cancel-job.js';
import type { Environment } from '../config.js';
import { withTrainer, type Connection } from '../connect.js';
import { stateOf } from '../describe-job.js';
import { given } from '../given.js';
import { measureInChild } from '../measure/measure-in-child.js';
import type { Activities, BatchRequest } from './pipelines.js';
import { reportFiles } from './report.js';

export interface ActivitySettings {
  readonly pool: SamplerPool;
  readonly trainer: Connection;
  readonly environment: Environment;
  readonly clock: Clock;
  /** Of the activity that runs: aborted when it is cancelled. */
  readonly currentSignal: () => AbortSignal;
  /** A shard that this worker has written. */
  readonly onShard: (out: string, shard: number, images: number) => void;
}

const PRIORITY = 'batch';
const formats = oneOf(FORMAT_NAMES);

export function createActivities({
  pool,
  trainer,
  environment,
  clock,
  currentSignal,
  onShard,
}: ActivitySettings): Activities {
  async function withOutput<T>(out: string, use: (store: ObjectStore) => Promise<T>): Promise<T> {
    const store = await storeFromSettings(storeSettings({ ...environment, [STORE_VARIABLE]: out }));
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  }

  return {
    makePlan: ({ out, batch }) =>
      withOutput(out, async (store) => {
        const signal = currentSignal();
        const plan = await makePlan(pool, askedBatch(batch), PRIORITY, signal);
        await adoptPlan(store, plan, { signal });
        return { images: plan.count, shards: Math.ceil(plan.count / plan.shardSize) };
      }),

    findMissing: ({ out, limit }) =>
      withOutput(out, async (store) => {
        const signal = currentSignal();
        const plan = await readPlan(store, { signal });
        const { shards, images } = await missingShards(store, plan, { signal });
        return { missing: shards.slice(0, limit), done: plan.count - images };
      }),

    makeShard: ({ out, shard }) =>
      withOutput(out, async (store) => {
        const signal = currentSignal();
        const plan = await readPlan(store, { signal });
        if (await isCancelled(store, { signal }))
          throw new DiffusionError('BATCH_CANCELLED', `the batch in ${store.description} is cancelled`);
        if (await isComplete(store, shard, { signal })) return;
        const images = await makeShard(store, pool, plan, shard, {
          ...{ priority: PRIORITY, signal, onImage: () => undefined },
        });
        onShard(out, shard, images);
      }),

    measureImages: ({ out, quality }) =>
      withOutput(out, async (store) => {
        const signal = currentSignal();
        const folder = await mkdtemp(join(tmpdir(), 'ip-diffusion-measure-'));
        try {
          const samples = join(folder, 'samples.npz');
          await packBatch(store, await readPlan(store, { signal }), samples, () => undefined, signal);
          const { measurements } = await measureInChild(
            {
              ...{ samples, ...quality, seed: 0n, measures: undefined, statisticsPath: undefined },
              ...{ cacheFolder: cacheFolder(environment), access: fileAccess(environment) },
            },
            { environment, clock, signal, onProgress: () => undefined },
          );
          return measurements.map((each) => ({ ...each }));
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      }),

    writeReport: ({ out, title, variants }) =>
      withOutput(out, async (store) => {
        const signal = currentSignal();
        for (const { key, bytes } of reportFiles(title, variants)) await store.put(key, bytes, { signal });
      }),

    trainModel: ({ recipe, requestId }) => {
      const signal = currentSignal();
      return withTrainer(trainer, signal, async (client) => {
        const request = { recipe: recipeToWire(recipe), requestId, validateOnly: false };
        const job = given((await callUnary(client, client.createTrainingJob, request, { signal })).job);
        try {
          const ended = await whenEnded(client, job, signal);
          const { model, checkpointStep: step } = ended;
          if (hasEnded(ended) && stateOf(ended) === 'SUCCEEDED') return { model, step };
          throw new DiffusionError(
            'TRAINING_FAILED',
            `job ${job.jobId} is ${stateOf(ended)}: ${ended.message}`,
          );
        } catch (error) {
          // A pipeline that is cancelled leaves no job behind; a worker that stops leaves it to the next one.
          if (signal.aborted && isCancelRequest(signal))
            await cancelJob(client, job.jobId, new AbortController().signal);
          throw error;
        }
      });
    },
  };
}

/** Temporal's reason for a cancelled activity; another one is that the worker shuts down. */
function isCancelRequest({ reason }: AbortSignal): boolean {
  return reason instanceof Error && reason.message === 'CANCELLED';
}

/** @throws DiffusionError INVALID_ARGUMENT for what an older or newer submitter sent otherwise. */
function askedBatch({ settings, seed, format, ...rest }: BatchRequest): AskedBatch {
  const known = formats.read(format);
  if (known === undefined) throw invalidArgument([violation('format', formats.wanted, format)]);
  return {
    ...{ checkpointStep: undefined, weights: undefined, ...rest, format: known },
    settings: samplingWire.SamplerSettings.fromJSON(settings),
    seed: BigInt(seed),
  };
}
