/** A checkpoint's manifest -> what it promises, on the wire. */

import type { Manifest } from '../checkpoint/index.js';
import { recipeFormat, type TrainingRecipe } from '../recipe/index.js';
import type { CheckpointContract } from './generated/diffusion/types/v1/checkpoint.js';
import { recipeToWire } from './recipe.js';

/** @param manifestSha256 Of the manifest's bytes as they are stored, in hexadecimal. */
export function checkpointToWire(
  manifest: Manifest<TrainingRecipe>,
  manifestSha256: string,
): CheckpointContract {
  const { engine, objects } = manifest;
  return {
    formatVersion: recipeFormat.versionOf(manifest.recipe),
    model: manifest.model,
    step: manifest.step,
    jobId: manifest.job,
    attempt: manifest.attempt,
    recipe: recipeToWire(manifest.recipe, manifest.schedule.betasSha256),
    datasetSha256: manifest.datasetManifestSha256 ?? '',
    emaRates: [...manifest.emaRates],
    samplesSeen: BigInt(manifest.counters.samplesSeen),
    engine: engine && {
      name: engine.name,
      version: engine.version,
      tensorflow: engine.build,
      platform: engine.platform,
      threads: engine.threads,
    },
    createTime: new Date(manifest.createdAt),
    objects: objects.map(({ name, size, sha256 }) => ({ name, sizeBytes: BigInt(size), sha256 })),
    manifestSha256,
    exposure: manifest.exposure,
  };
}
