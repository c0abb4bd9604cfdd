/** A job's checkpoints, how to read them, and how to damage them. */

import { newestGoodCommit, readObject } from '../../shared/models/index.js';
import type { Commit, CommittedCheckpoint, CommittedObject } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';

export const job = 'job-1';
export const model = 'demo';
export const folderOf = (step: number, attempt: number): string =>
  `jobs/${job}/checkpoints/${String(step).padStart(12, '0')}/${String(attempt).padStart(6, '0')}/`;

export function checkpoint(step: number, attempt: number, change: Partial<Commit> = {}): Commit {
  const objects = ['weights.safetensors', 'optimizer.safetensors'].map((name) => ({
    name,
    bytes: Buffer.from(`${name} of ${step} by ${attempt}`),
  }));
  const manifest = (list: readonly CommittedObject[]): Uint8Array => Buffer.from(JSON.stringify(list));
  return { job, model, step, attempt, objects, manifest, ...change };
}

/** Reads every object that the manifest lists. */
export async function readAll(store: ObjectStore, commit: CommittedCheckpoint): Promise<string[]> {
  const objects = JSON.parse(Buffer.from(commit.manifest).toString()) as CommittedObject[];
  const bytes = await Promise.all(objects.map((object) => readObject(store, commit, object)));
  return bytes.map((content) => Buffer.from(content).toString());
}

export async function newest(store: ObjectStore): Promise<{ step: number | undefined; damaged: number[] }> {
  const { found, damaged } = await newestGoodCommit(store, job, (commit) => readAll(store, commit));
  return { step: found?.checkpoint.step, damaged: damaged.map(({ step }) => step) };
}

export async function damage(
  store: ObjectStore,
  key: string,
  change: (bytes: Uint8Array) => Uint8Array,
): Promise<void> {
  const { bytes } = await store.get(key);
  await store.put(key, change(bytes));
}

export const flipLastBit = (bytes: Uint8Array): Uint8Array =>
  bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte));

export async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list(prefix)) keys.push(key);
  return keys;
}
