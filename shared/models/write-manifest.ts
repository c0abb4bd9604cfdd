/** The manifest of a checkpoint that is being committed. */

import { encodeManifest, type Manifest } from '../checkpoint/index.js';
import { betasHash } from '../noise/index.js';
import { recipeBetas, recipeFormat, type TrainingRecipe } from '../recipe/index.js';
import type { CommittedObject } from './commits.js';

/** What a recipe and the step don't say of a manifest. */
export interface ManifestFacts extends Omit<
  Manifest<TrainingRecipe>,
  'objects' | 'schedule' | 'gamma' | 'counters'
> {
  readonly objects: readonly CommittedObject[];
  /** Beside the step. */
  readonly counters: { readonly samplesSeen: number; readonly epoch: number; readonly position: number };
}

/** @throws DiffusionError as `encodeManifest`. */
export function writeManifest({ objects, counters, ...facts }: ManifestFacts): Uint8Array {
  const { step, recipe } = facts;
  const { name, timesteps, betas } = recipe.noiseSchedule;
  return encodeManifest(
    {
      ...facts,
      objects: [...objects],
      schedule: {
        ...{ name, timesteps, betasSha256: betasHash(recipeBetas(recipe)) },
        ...(betas !== undefined && { betas }),
      },
      gamma: recipe.inputPerturbation.gamma,
      counters: { step, ...counters },
    },
    recipeFormat,
  );
}
