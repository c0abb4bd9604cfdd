/** One run of a measurement: from its specification to a result in the store. */

import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { canonicalJson } from '../../../shared/checkpoint/index.js';
import { resultToWire } from '../../../shared/contract/index.js';
import { abortError, type Clock } from '../../../shared/foundation/index.js';
import { buildOf, type MeasurementContract } from '../../../shared/measuring/index.js';
import { chooseWeights, type Checkpoint } from '../../../shared/models/index.js';
import type { FileAccess } from '../../../shared/store/index.js';
import type { LoadedModels } from '../loaded-models.js';
import type { ModelCatalogue } from '../model-catalogue.js';
import { backgroundPredict } from './background-predict.js';
import { measureInProcess, type MeasuringSettings } from './measure-in-process.js';
import type { FoundInputs } from './messages.js';
import type { MeasurementRecord, MeasurementRecords } from './records.js';
import {
  readSpecification,
  realImagesOf,
  resolveSpecification,
  type MeasurementLimits,
  type Specification,
} from './specification.js';
import type { RunContext, RunEnd } from './supervisor.js';

export interface RunOptions {
  readonly catalogue: Pick<ModelCatalogue, 'checkpoint'>;
  readonly models: Pick<LoadedModels, 'acquire'>;
  readonly records: Pick<MeasurementRecords, 'putResult' | 'resultOf' | 'statistics' | 'putStatistics'>;
  readonly clock: Clock;
  readonly limits: MeasurementLimits;
  readonly process: MeasuringSettings;
  readonly access: FileAccess;
  readonly datasetCache: string;
  /** Of features, extractors and sampled images. */
  readonly cacheFolder: string;
}

/** Changes where the same inputs would give another result. */
const RESULT_VERSION = 1;

/**
 * Measures, or finds the result of an earlier measurement of the same inputs. Everything that is random follows from the seed,
 * so that a run which begins again has the same result.
 */
export async function runMeasurement(
  { measurement, caller }: MeasurementRecord,
  { signal, onProgress }: RunContext,
  options: RunOptions,
): Promise<RunEnd> {
  const { catalogue, models, records, clock, access, datasetCache, cacheFolder } = options;
  const beganMs = clock.monotonicMs();
  const asked = readSpecification(measurement.spec, options.limits);
  const checkpoint = await catalogue.checkpoint(asked.model, asked.checkpointStep ?? 0, signal);
  const specification = resolveSpecification(asked, checkpoint, options.limits);
  const { recipe } = checkpoint.manifest;
  const { task, seed } = specification;
  const { weights, object } = chooseWeights(checkpoint.manifest, specification.weights, 'spec.weights');
  const source = { commit: checkpoint.commit, object, weights, recipe, precision: specification.precision };
  const id = measurement.measurementId;
  const samplesPath = join(cacheFolder, 'measurements', `${id}.pixels`);
  let found: FoundInputs | undefined;
  let inputsSha256 = '';

  try {
    const measured = await measureInProcess(
      {
        ...{ kind: 'measure', task, recipe, seed, access, datasetCache, cacheFolder, samplesPath },
        ...{ images: specification.images, data: realImagesOf(specification, recipe) },
      },
      options.process,
      {
        ...{ clock, signal, onProgress },
        findStatistics: records.statistics,
        keepStatistics: records.putStatistics,
        predict: backgroundPredict({ models, source, caller, signal }),
        onInputs: async (inputs) => {
          found = inputs;
          inputsSha256 = inputsHash(specification, checkpoint, inputs);
          const earlier = await records.resultOf(inputsSha256);
          if (earlier === undefined) return true;
          await records.putResult(id, earlier, inputsSha256);
          return false;
        },
      },
    );
    if (measured !== undefined && found !== undefined) {
      const { results, features } = measured;
      const { data, images, extractor } = found;
      const contract: MeasurementContract = {
        ...modelFacts(specification, checkpoint),
        steps: results[0]?.steps ?? 0,
        ...{ images, seed: seed.toString(), data, build: buildOf() },
        ...(extractor !== undefined && { extractor: { ...extractor, features } }),
        seconds: (clock.monotonicMs() - beganMs) / 1000,
      };
      await records.putResult(id, resultToWire({ contract, results }, inputsSha256), inputsSha256);
    }
    return { inputsSha256, fromCache: measured === undefined };
  } finally {
    // A sampler on this machine goes on with them where this one stops, or has lost the measurement.
    const goesOn = signal.aborted && abortError(signal, 'measuring').reason !== 'CANCELLED';
    if (!goesOn) await rm(samplesPath, { force: true });
  }
}

function modelFacts(
  { task, weights, precision }: Specification,
  { commit, manifest, manifestSha256 }: Checkpoint,
): Pick<MeasurementContract, 'kind' | 'model' | 'sampler'> {
  const chosen = chooseWeights(manifest, weights, 'spec.weights');
  return {
    kind: task.kind,
    model: {
      ...{ name: commit.model, checkpointStep: commit.step, manifestSha256, precision },
      ...{ weights: chosen.weights, weightsSha256: chosen.object.sha256 },
      ...{ variant: manifest.recipe.variant, gamma: manifest.gamma },
    },
    ...(task.kind !== 'likelihood' && { sampler: task.sampler }),
  };
}

/** Over everything that decides the result. */
function inputsHash(
  { task, seed, precision, weights }: Specification,
  { manifest, manifestSha256 }: Checkpoint,
  { data, images, extractor }: FoundInputs,
): string {
  const inputs = {
    ...{ version: RESULT_VERSION, build: buildOf(), manifestSha256, task, images, precision },
    weightsSha256: chooseWeights(manifest, weights, 'spec.weights').object.sha256,
    seed: seed.toString(),
    ...{ data: data.sha256, extractor: extractor?.sha256 },
  };
  return createHash('sha256').update(canonicalJson(inputs)).digest('hex');
}
