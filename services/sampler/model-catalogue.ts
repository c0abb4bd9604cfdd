/** The models of a store and their committed checkpoints; reads manifests, never weights. */

import { createHash } from 'node:crypto';

import { decodeManifest, type Manifest } from '../../shared/checkpoint/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { recipeFormat, type TrainingRecipe } from '../../shared/recipe/index.js';
import {
  jobOfModel,
  listCommits,
  listModels,
  newestGoodCommit,
  readCommit,
  type CommittedCheckpoint,
  type DamagedCheckpoint,
} from '../../shared/models/index.js';
import { type ObjectStore } from '../../shared/store/index.js';

/** A committed checkpoint whose manifest and recipe have been read and checked. */
export interface Checkpoint {
  readonly commit: CommittedCheckpoint;
  readonly manifest: Manifest<TrainingRecipe>;
  /** Of the manifest's bytes, in hexadecimal. */
  readonly manifestSha256: string;
}

export interface ModelCatalogue {
  /** The names of all models, sorted. */
  names(signal: AbortSignal): Promise<string[]>;
  /** Committed versions, newest first. @throws DiffusionError NOT_FOUND for a model that doesn't exist. */
  versions(model: string, signal: AbortSignal): Promise<number[]>;
  /**
   * The checkpoint of one version.
   *
   * @throws DiffusionError NOT_FOUND, DATA_LOSS where it is damaged, FAILED_PRECONDITION where its format is newer
   * than this build's.
   */
  checkpoint(model: string, version: number, signal: AbortSignal): Promise<Checkpoint>;
  /**
   * What `use` makes of the newest checkpoint for which neither reading the manifest nor `use` throws DATA_LOSS.
   *
   * @throws DiffusionError NOT_FOUND for a model that doesn't exist, FAILED_PRECONDITION (reason MODEL_NOT_READY)
   * for one without a checkpoint, DATA_LOSS where all are damaged, whatever else `use` throws.
   */
  newestGood<T>(model: string, use: (checkpoint: Checkpoint) => Promise<T>, signal: AbortSignal): Promise<T>;
}

/** @param onDamaged Told of each checkpoint that was passed over. */
export function modelCatalogue(
  store: ObjectStore,
  onDamaged: (model: string, damaged: DamagedCheckpoint) => void,
): ModelCatalogue {
  async function jobOf(model: string, signal: AbortSignal): Promise<string> {
    const job = await jobOfModel(store, model, { signal });
    if (job !== undefined) return job;
    throw new DiffusionError('MODEL_NOT_FOUND', `there is no model ${model}`, {
      metadata: { model },
    });
  }

  return {
    names: (signal) => listModels(store, { signal }),

    versions: async (model, signal) =>
      (await listCommits(store, await jobOf(model, signal), { signal })).reverse(),

    checkpoint: async (model, version, signal) => {
      const job = await jobOf(model, signal);
      // Asked of the list, since a version may be no key that the store could hold.
      if (!(await listCommits(store, job, { signal })).includes(version)) {
        throw new DiffusionError(
          'CHECKPOINT_NOT_FOUND',
          `model ${model} has no committed version ${version}`,
          {
            metadata: { model },
          },
        );
      }
      return readManifest(model, await readCommit(store, job, version, { signal }));
    },

    newestGood: async (model, use, signal) => {
      const job = await jobOf(model, signal);
      const verify = (commit: CommittedCheckpoint) => use(readManifest(model, commit));
      const { found, damaged } = await newestGoodCommit(store, job, verify, { signal });
      for (const passedOver of damaged) onDamaged(model, passedOver);
      if (found !== undefined) return found.value;
      throw damaged[0]?.error ?? notReady(model);
    },
  };
}

function readManifest(model: string, commit: CommittedCheckpoint): Checkpoint {
  const manifest = decodeManifest(commit.manifest, recipeFormat);
  const { job, step, attempt } = commit;
  if (
    manifest.model !== model ||
    manifest.job !== job ||
    manifest.step !== step ||
    manifest.attempt !== attempt
  ) {
    const wanted = [model, job, step, attempt].join(', ');
    const got = [manifest.model, manifest.job, manifest.step, manifest.attempt].join(', ');
    throw new DiffusionError('MANIFEST_INVALID', `manifest: wanted the one of ${wanted}; got that of ${got}`);
  }
  return { commit, manifest, manifestSha256: createHash('sha256').update(commit.manifest).digest('hex') };
}

function notReady(model: string): DiffusionError {
  return new DiffusionError('MODEL_NOT_READY', `model ${model} has no committed checkpoint yet`, {
    metadata: { model },
  });
}
