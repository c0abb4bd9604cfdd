/** A tiny network's checkpoints, committed as a trainer commits them. */

import {
  emaObject,
  encodeSafetensors,
  weightsObject,
  type Manifest,
  type TensorData,
} from '../../shared/checkpoint/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import { initialParameters, parameterSpecs } from '../../shared/model/index.js';
import {
  resolveRecipe,
  unetConfig,
  type PartialRecipe,
  type TrainingRecipe,
} from '../../shared/recipe/index.js';
import { bindModel, claimAttempt, commitCheckpoint, writeManifest } from '../../shared/models/index.js';
import { type ObjectStore } from '../../shared/store/index.js';

export const TINY: PartialRecipe = {
  name: 'tiny',
  // Sixty timesteps, so that a test can walk them all.
  noiseSchedule: { timesteps: 60 },
  dataset: { imageSize: 8, channels: 3 },
  architecture: {
    modelChannels: 32,
    numResBlocks: 1,
    channelMult: [1, 2],
    attentionResolutions: [4],
    numHeadChannels: 32,
  },
  ema: { rates: [0.9, 0.99] },
};

export interface TinyCheckpoint {
  readonly step: number;
  /** Decides the weights. */
  readonly seed?: bigint;
  readonly recipe?: PartialRecipe;
  readonly owner?: string;
  /** Changes the manifest before it is written. */
  readonly alter?: (manifest: Manifest<TrainingRecipe>) => object;
}

/** Commits a checkpoint of the recipe's model. @returns its resolved recipe. */
export async function commitTiny(
  store: ObjectStore,
  { step, seed = 1n, recipe: asked = TINY, owner, alter }: TinyCheckpoint,
): Promise<TrainingRecipe> {
  const recipe = resolveRecipe(asked, 'tiny');
  const { name: model } = recipe;
  const job = `job-of-${model}`;
  await bindModel(store, model, job, { owner });
  const attempt = await claimAttempt(store, job);
  const weights = [weightsObject, ...recipe.ema.rates.map(emaObject)];
  await commitCheckpoint(store, {
    job,
    model,
    step,
    attempt,
    objects: weights.map((name, i) => ({
      name,
      bytes: encodeSafetensors(tensorsOf(recipe, seed + BigInt(i))),
    })),
    manifest: (objects) => {
      const manifest = writeManifest({
        ...{ job, model, step, attempt, objects, recipe },
        createdAt: '2024-05-01T12:00:00.000Z',
        parent: null,
        counters: { samplesSeen: step * 4, epoch: 0, position: 0 },
        datasetManifestSha256: 'd'.repeat(64),
        emaRates: recipe.ema.rates,
        engine: { name: 'eager', version: '4.22.0', build: '2.21.0', platform: 'test', threads: 1 },
      });
      if (alter === undefined) return manifest;
      const written = JSON.parse(Buffer.from(manifest).toString()) as Manifest<TrainingRecipe>;
      return Buffer.from(JSON.stringify({ ...written, ...alter(written) }));
    },
  });
  return recipe;
}

/** As a network starts, but with small values where it would start with zeros, so that its output isn't 0. */
export function tensorsOf(recipe: TrainingRecipe, seed: bigint): Map<string, TensorData> {
  const config = unetConfig(recipe);
  const values = initialParameters(config, seed);
  return new Map(
    parameterSpecs(config).map(({ name, shape, initial }) => {
      const data = values.get(name) ?? new Float32Array(0);
      const noise = gaussian(deriveKey(seed, `test/${name}`), [], data.length);
      return [
        name,
        { dtype: 'F32', shape, data: initial.kind === 'zeros' ? noise.map((value) => value / 20) : data },
      ];
    }),
  );
}
