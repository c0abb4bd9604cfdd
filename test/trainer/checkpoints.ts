/** Checkpoints of a job with one small object, as a run would commit them. */

import { writeManifest, type CommittedObject } from '../../shared/models/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import type { PendingCheckpoint } from '../../services/trainer/engine-process/waiting-commits.js';

export const OBJECT_BYTES = 1000;

/** @param step Less than 256. */
export function smallCheckpoint(
  { job, model }: { readonly job: string; readonly model: string },
  step: number,
  attempt: number,
): PendingCheckpoint {
  const recipe = resolveRecipe({}, model);
  return {
    step,
    objects: [{ name: 'weights.safetensors', bytes: Buffer.alloc(OBJECT_BYTES, step) }],
    manifest: (objects: readonly CommittedObject[]) =>
      writeManifest({
        ...{ job, model, step, attempt, parent: null, objects, recipe },
        createdAt: new Date(0).toISOString(),
        counters: { samplesSeen: step, epoch: 0, position: 0 },
        datasetManifestSha256: '0'.repeat(64),
        emaRates: [],
        engine: { name: 'toy', version: '1', build: '1', platform: 'test', threads: 1 },
      }),
  };
}
