/** The commit protocol, writing side: objects, manifest, marker, hint, in this order. */

import { sha256Of } from '../store/index.js';
import { isLatestAttempt } from './attempts.js';
import { jobKeys } from './keys.js';
import { MANIFEST, fenced, publishMarker } from './markers.js';
import { advanceLatest } from './models.js';
import type { CallOptions, ObjectStore } from '../store/index.js';

/** One object of a checkpoint as its manifest lists it; `size` in bytes. */
export interface CommittedObject {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

export interface ObjectToCommit {
  readonly name: string;
  /** A function reads them when it is their turn, so that one object at a time is in memory. */
  readonly bytes: Uint8Array | (() => Promise<Uint8Array>);
}

/** What has just been done; until `marker`, readers see the checkpoint before. */
export type CommitStage = 'begin' | 'object' | 'manifest' | 'fence' | 'marker' | 'latest';

export interface Commit extends CallOptions {
  readonly job: string;
  readonly model: string;
  readonly step: number;
  /** As `claimAttempt` gave it. */
  readonly attempt: number;
  readonly objects: readonly ObjectToCommit[];
  /** Makes the manifest once the sizes and hashes are known. */
  readonly manifest: (objects: readonly CommittedObject[]) => Uint8Array;
  /** Called after each stage, and after each object; an error that it throws ends the commit there. */
  readonly onStage?: (stage: CommitStage) => void | Promise<void>;
}

/**
 * Commits a checkpoint. Repeating a commit that failed half-way, by the same attempt with the same bytes, completes it.
 *
 * @returns the bytes written, manifest included.
 * @throws ABORTED: reason ATTEMPT_FENCED where a later attempt exists, COMMIT_CONFLICT where this attempt has
 * committed the step with other bytes; whatever the store throws.
 */
export async function commitCheckpoint(
  store: ObjectStore,
  { job, model, step, attempt, objects, manifest, onStage = () => undefined, signal }: Commit,
): Promise<{ readonly step: number; readonly bytes: number }> {
  const folder = jobKeys.checkpoint(job, step, attempt);
  await onStage('begin');
  const committed: CommittedObject[] = [];
  for (const { name, bytes: given } of objects) {
    const bytes = typeof given === 'function' ? await given() : given;
    await store.put(folder + name, bytes, { signal });
    committed.push({ name, size: bytes.length, sha256: await sha256Of(bytes) });
    await onStage('object');
  }
  const manifestBytes = manifest(committed);
  await store.put(folder + MANIFEST, manifestBytes, { signal });
  await onStage('manifest');
  // An earlier attempt that still runs is refused here; one that passes at the last moment loses to the later marker.
  if (!(await isLatestAttempt(store, job, attempt, { signal }))) throw fenced({ job, step, attempt });
  await onStage('fence');
  const { length: size } = manifestBytes;
  await publishMarker(
    store,
    { job, model, step, attempt, size, sha256: await sha256Of(manifestBytes) },
    { signal },
  );
  await onStage('marker');
  await advanceLatest(store, model, { job, attempt, step }, { signal });
  await onStage('latest');
  return { step, bytes: committed.reduce((sum, object) => sum + object.size, size) };
}
