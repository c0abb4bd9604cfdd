/** Weights as files that other programs load: safetensors for PyTorch, a SavedModel for TensorFlow. */

import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { allocateSafetensors, canonicalJson } from '../../../shared/checkpoint/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { parameterSpecs, predictFunction, toEngineLayout } from '../../../shared/model/index.js';
import { unetConfig } from '../../../shared/recipe/index.js';
import type { Weights } from './read-weights.js';

/** Writes a state_dict with the contract in its metadata. @returns the bytes written. */
export async function writeSafetensors(path: string, weights: Weights, signal: AbortSignal): Promise<number> {
  const { recipe } = weights.manifest;
  const specs = parameterSpecs(unetConfig(recipe));
  const { bytes, tensors } = allocateSafetensors(
    new Map(specs.map(({ name, shape }) => [name, { dtype: 'F32', shape }])),
    { format: 'pt', ...contractOf(weights) },
  );
  for (const [name, { data }] of tensors) (data as Float32Array).set(valuesOf(weights, name));
  return writeWhole(path, [bytes], signal);
}

/**
 * Writes a folder with `saved_model.pb`: the network with its weights in it, for a fixed number of images, in
 * TensorFlow's own operations; `contract.json` lies beside it.
 *
 * @returns the bytes written.
 * @throws DiffusionError RESOURCE_EXHAUSTED beyond the 2 GiB that such a file may have.
 */
export async function writeSavedModel(
  folder: string,
  weights: Weights,
  batchSize: number,
  signal: AbortSignal,
): Promise<number> {
  // TensorFlow is needed only here, and takes a while to load.
  const { savedModel } = await import('../../../shared/engine/index.js');
  const config = unetConfig(weights.manifest.recipe);
  const specs = parameterSpecs(config);
  const layouts = new Map(specs.map((spec) => [spec.name, spec]));
  const module = {
    variables: specs.map(({ name, engineShape }) => ({ name, shape: engineShape })),
    functions: { predict: predictFunction(config, batchSize) },
  };
  const pieces = savedModel(module, 'predict', (name) => {
    const spec = layouts.get(name);
    const values = valuesOf(weights, name);
    return spec === undefined ? values : toEngineLayout(spec, values);
  });
  const contract = Buffer.from(`${canonicalJson(contractOf(weights))}\n`);
  await writeWhole(join(folder, 'contract.json'), [contract], signal);
  return writeWhole(join(folder, 'saved_model.pb'), pieces, signal);
}

/** What a user of the weights must know, as texts. */
function contractOf({ manifest, weights }: Weights): Record<string, string> {
  const { model, step, gamma, schedule, recipe } = manifest;
  return {
    model,
    step: String(step),
    ...(weights !== 'raw' && { ema_rate: String(weights) }),
    gamma: String(gamma),
    timesteps: String(schedule.timesteps),
    betas_sha256: schedule.betasSha256,
    recipe: canonicalJson(recipe),
  };
}

function valuesOf({ values }: Weights, name: string): Float32Array {
  const found = values.get(name);
  if (found === undefined) throw new Error(`the weights were checked, but have no ${name}`);
  return found;
}

/**
 * Writes the whole file or none: it is written beside, then renamed.
 *
 * @throws DiffusionError FAILED_PRECONDITION where it can't be written; the signal's reason.
 */
async function writeWhole(path: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<number> {
  const unfinished = `${path}.unfinished`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(unfinished, 'w');
    try {
      for (const piece of pieces) await file.writeFile(piece, { signal });
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (cause) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    signal.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DiffusionError('FILE_NOT_USABLE', `${path} can't be written: ${reason}`, { cause });
  }
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
