/** How long a page of the list takes in a store with many jobs. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { canonicalJson } from '../../shared/checkpoint/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import { activeKeys, jobKeys, listedKeys } from '../../shared/models/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { jobList } from '../../services/trainer/job-list.js';
import { firstStatus, readJob, statusBytes } from '../../services/trainer/job-status.js';
import { jobToWire } from '../../services/trainer/wire.js';
import { quantile, rounded, type Bench } from './table.js';

const COUNTS = [100, 10_000];
const ROUNDS = 20;

export const listing: Bench = async (say) => {
  const rows = [];
  for (const count of COUNTS) {
    say(`a folder with ${count} jobs`);
    const folder = await mkdtemp(join(tmpdir(), 'job-list-'));
    await fill(folder, count);
    const store = await openLocalStore({ folder });
    const get = (jobId: string) => readJob(store, jobId);
    const list = jobList(store, get, { whenComplete: () => Promise.resolve() });
    const filter = {
      states: [],
      modelPrefix: '',
      createdFrom: undefined,
      createdBefore: undefined,
      sees: () => true,
    };
    const content = { write: jobToWire, encode: trainerWire.TrainingJob.encode };
    const times: number[] = [];
    let pageToken = '';
    for (let round = 0; round < ROUNDS; round++) {
      const beganMs = performance.now();
      const page = await list.page({ pageSize: 0, pageToken }, filter, content);
      times.push(performance.now() - beganMs);
      pageToken = page.nextPageToken;
    }
    await rm(folder, { recursive: true });
    times.sort((a, b) => a - b);
    rows.push({
      jobs: count,
      'page of 50, median ms': rounded(quantile(times, 0.5)),
      'longest ms': rounded(times.at(-1) ?? 0),
    });
  }
  return { about: 'a local folder; each page with the whole recipe of every job', rows };
};

/** Written without waiting for the disk, which the store would do for each object. */
async function fill(folder: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const model = `model-${i}`;
    const jobId = `${model}-job`;
    const createdAt = new Date(Date.UTC(2026, 0, 1) + 1000 * i).toISOString();
    const record = { jobId, model, recipe: resolveRecipe({}, model), createdAt };
    const status = statusBytes({ ...firstStatus(record), state: 'SUCCEEDED' }, 1, {});
    const listed = listedKeys.of({ job: jobId, model, createdMs: Date.parse(createdAt) });
    const objects = new Map<string, string | Uint8Array>([
      [jobKeys.record(jobId), canonicalJson({ ...record, formatVersion: 1 })],
      [jobKeys.status(jobId), status],
      [listed, '{}'],
      [activeKeys.of(jobId), '{}'],
    ]);
    for (const [key, bytes] of objects) {
      await mkdir(dirname(join(folder, key)), { recursive: true });
      await writeFile(join(folder, key), bytes);
    }
  }
}
