/** The list of all jobs as keys in the store, the newest first: a page of it costs what is on the page. */

import { listedJobOfKey, listedKeys, listModels, type ListedJob } from '../../shared/models/index.js';
import { isNotFound, type CallOptions, type ObjectStore } from '../../shared/store/index.js';
import { mapInBatches, orderOf } from './job-records.js';
import type { JobRecord } from './job.js';

const NOTHING = Buffer.from('{}');

/** Adds a job; repeating it changes nothing. */
export async function addListed(store: ObjectStore, record: JobRecord): Promise<void> {
  await store.put(listedKeys.of(placeOf(record)), NOTHING);
}

export async function removeListed(store: ObjectStore, record: JobRecord): Promise<void> {
  await store.remove([listedKeys.of(placeOf(record))]);
}

/** Jobs behind one of the list, or all, the newest first; read as far as they are asked for. */
export async function* listedAfter(
  store: ObjectStore,
  after: string | undefined,
  options: CallOptions = {},
): AsyncGenerator<ListedJob> {
  for await (const key of store.list(listedKeys.all, { ...options, after })) {
    const job = listedJobOfKey(key);
    if (job !== undefined) yield job;
  }
}

export interface ListedCompleteness {
  /** Resolves when every job is listed: at once, but in a store that earlier builds alone have written. */
  whenComplete(): Promise<void>;
  /** Adds what earlier builds, or writers that died, have not listed. */
  complete(): Promise<void>;
}

export function listedCompleteness(store: ObjectStore): ListedCompleteness {
  let completing: Promise<void> | undefined;

  async function addAll(): Promise<void> {
    const listed = new Set<string>();
    for await (const { model } of listedAfter(store, undefined)) listed.add(model);
    const missing = (await listModels(store)).filter((model) => !listed.has(model));
    await mapInBatches(missing, async (model) => {
      const order = await orderOf(store, model);
      if (order === undefined) return;
      const { jobId: job, createdAt } = order;
      await store.put(listedKeys.of({ job, model, createdMs: timeOf(createdAt) }), NOTHING);
    });
    await store.put(listedKeys.complete, NOTHING);
  }

  function complete(): Promise<void> {
    completing ??= addAll().finally(() => {
      completing = undefined;
    });
    return completing;
  }

  let isComplete = false;
  return {
    complete,
    async whenComplete() {
      isComplete ||= await isThere(store, listedKeys.complete);
      if (!isComplete) await complete();
      isComplete = true;
    },
  };
}

async function isThere(store: ObjectStore, key: string): Promise<boolean> {
  try {
    await store.head(key);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

function placeOf({ jobId, model, createdAt }: JobRecord): ListedJob {
  return { job: jobId, model, createdMs: timeOf(createdAt) };
}

/** Of a stored text; one that is no time counts as the oldest. */
function timeOf(createdAt: string): number {
  const ms = Date.parse(createdAt);
  return Number.isNaN(ms) ? 0 : ms;
}
