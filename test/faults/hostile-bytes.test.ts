/** Bytes from outside, changed anyhow: a typed error or a value, never a crash, and no memory beyond what came. */

import { createHmac } from 'node:crypto';

import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import sharp from 'sharp';

import { readResumeToken, writeResumeToken } from '../../services/sampler/resume-token.js';
import { loadEventLog } from '../../services/trainer/event-segments.js';
import { readRecord } from '../../services/trainer/job-records.js';
import { readJob } from '../../services/trainer/job-status.js';
import { decodeSafetensors, encodeSafetensors, type TensorData } from '../../shared/checkpoint/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { decodeImage } from '../../shared/images/index.js';
import { bindingOf, checkpointOf, readCommit } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { engines, finished, plays, ready } from '../trainer/fake-engine.js';
import { end, openStore, removeAll, trainer } from '../trainer/trainers.js';
import { mutated, mutations } from './mutations.js';

/** What reading may hold beside the bytes themselves. */
const ROOM_BYTES = 64 * 1024 * 1024;
const MAX_MESSAGE = 10_000;
const OF_STORED = ['DATA_LOSS', 'FAILED_PRECONDITION'];

interface Target {
  /** What the changes begin with. */
  readonly bytes: Uint8Array;
  readonly read: (bytes: Buffer) => unknown;
  /** Codes of the errors that are answers; none where whatever comes has a value. */
  readonly codes: readonly string[];
  readonly runs: number;
}

/** Every change gives a value, or one of the errors. */
async function withstands(t: ExecutionContext, { bytes, read, codes, runs }: Target): Promise<void> {
  await read(Buffer.from(bytes));
  const errors = new Set<string>();
  const before = process.memoryUsage().external;
  let most = 0;
  await fc.assert(
    fc.asyncProperty(mutations, async (changes) => {
      try {
        await read(mutated(bytes, changes));
      } catch (error) {
        if (!(error instanceof DiffusionError) || !codes.includes(error.code)) throw error;
        if (error.message.length > MAX_MESSAGE) throw new Error('the message is too long', { cause: error });
        errors.add(error.code);
      }
      most = Math.max(most, process.memoryUsage().external - before);
    }),
    { numRuns: runs },
  );
  t.is(errors.size > 0, codes.length > 0);
  t.true(most < ROOM_BYTES, `${most} bytes`);
}

const store = await openStore();
await commitTiny(store, { step: 5 });
const { jobId } = await endedJob();

test.after.always(removeAll);

async function endedJob(): Promise<{ jobId: string }> {
  const a = trainer(store, engines(plays(ready, finished)).startEngine);
  const job = await a.requests.create({ name: 'job' }, '');
  await end(a, job);
  await a.supervisor.find(job.record.jobId)?.save();
  return job.record;
}

/** An object of the store, which is read from a store that has other bytes in its place. */
async function objectTarget(
  key: string,
  read: (from: ObjectStore) => unknown,
  codes = OF_STORED,
): Promise<Target> {
  const { bytes, etag } = await store.get(key);
  const storeWith = (changed: Buffer): ObjectStore => ({
    description: store.description,
    get: (asked, options = {}) => {
      if (asked !== key) return store.get(asked, options);
      if (changed.length > (options.maxBytes ?? Infinity))
        return Promise.reject(new DiffusionError('OBJECT_TOO_LARGE', 'too large'));
      return Promise.resolve({ bytes: Uint8Array.from(changed), etag });
    },
    head: store.head.bind(store),
    put: store.put.bind(store),
    list: store.list.bind(store),
    remove: store.remove.bind(store),
    tidy: store.tidy.bind(store),
    close: () => Promise.resolve(),
  });
  return { bytes, codes, runs: 300, read: (changed) => read(storeWith(changed)) };
}

test('manifests [fault 83]', async (t) => {
  const { manifest, ...commit } = await readCommit(store, 'job-of-tiny', 5);
  const read = (bytes: Buffer) => checkpointOf({ ...commit, manifest: bytes });
  await withstands(t, { bytes: manifest, codes: OF_STORED, read, runs: 600 });
});

test('markers, and who has a name', async (t) => {
  const key = 'jobs/job-of-tiny/commits/000000000005.json';
  await withstands(t, await objectTarget(key, (from) => readCommit(from, 'job-of-tiny', 5)));
  await withstands(t, await objectTarget('models/tiny/job.json', (from) => bindingOf(from, 'tiny')));
});

test('records, statuses and events of jobs [fault A14]', async (t) => {
  await withstands(t, await objectTarget(`jobs/${jobId}/job.json`, (from) => readRecord(from, jobId)));
  // One that is damaged is made anew from what else is there.
  await withstands(t, await objectTarget(`jobs/${jobId}/status.json`, (from) => readJob(from, jobId), []));
  for await (const key of store.list(`jobs/${jobId}/events/`))
    await withstands(t, await objectTarget(key, (from) => loadEventLog(from, jobId), []));
});

test('safetensors [fault 84]', async (t) => {
  const f32 = (...shape: number[]): TensorData => ({
    ...{ dtype: 'F32', shape },
    data: new Float32Array(shape.reduce((product, length) => product * length, 1)),
  });
  const tensors = new Map([['in.weight', f32(4, 3, 3, 3)] as const, ['in.bias', f32(4)] as const]);
  const bytes = encodeSafetensors(tensors, { format: 'x' });
  await withstands(t, { bytes, read: decodeSafetensors, codes: ['DATA_LOSS'], runs: 1500 });
});

test('resume tokens, even those that have a good signature', async (t) => {
  const key = Buffer.alloc(32, 7);
  const hashes = { requestSha256: 'b'.repeat(64), weightsSha256: 'a'.repeat(64) };
  const state = { stepsDone: 3, x: new Float32Array(12), history: [new Float32Array(12)] };
  const token = writeResumeToken({ ...hashes, checkpointStep: 5, weights: 0.9999, index: 7, state }, key);
  const codes = ['INVALID_ARGUMENT'];
  await withstands(t, {
    bytes: token,
    codes,
    runs: 300,
    read: (bytes) => readResumeToken(bytes, 'token', key),
  });
  const signed = (content: Buffer): Buffer =>
    Buffer.concat([createHmac('sha256', key).update(content).digest(), content]);
  const read = (content: Buffer) => readResumeToken(signed(content), 'token', key);
  await withstands(t, { bytes: token.subarray(32), codes, runs: 1500, read });
});

for (const format of ['png', 'jpeg', 'webp'] as const) {
  test(`${format} images [fault 49]`, async (t) => {
    const pixels = Uint8Array.from({ length: 24 * 24 * 3 }, (_, n) => (n * 37) % 251);
    const bytes = await sharp(pixels, { raw: { width: 24, height: 24, channels: 3 } })
      .toFormat(format)
      .toBuffer();
    const read = (changed: Buffer) => decodeImage(changed, { imageSize: 16, channels: 3 });
    await withstands(t, { bytes, codes: ['INVALID_ARGUMENT'], runs: 150, read });
  });
}
