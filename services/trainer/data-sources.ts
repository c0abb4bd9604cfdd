/** Where jobs' images are: whether they can be reached from this machine, and what is in them. */

import { addressOf, checkSource, sourceField, type DatasetManifest } from '../../shared/dataset/index.js';
import { describeValue, DiffusionError } from '../../shared/foundation/index.js';
import { datasetConfig, type TrainingRecipe } from '../../shared/recipe/index.js';
import type { FileAccess } from '../../shared/store/index.js';
import type { Reader } from './reading.js';

export interface DataSources {
  /**
   * Asks whether a recipe's images are there; their content is checked when they are read.
   *
   * @throws DiffusionError NOT_FOUND (reason DATASET_NOT_FOUND), UNAVAILABLE or FAILED_PRECONDITION, naming the field
   * with the address.
   */
  check(recipe: TrainingRecipe): Promise<void>;
  /** Whether this trainer can read a recipe's images, now or after an outage. */
  isReachable(recipe: TrainingRecipe): Promise<boolean>;
  /**
   * Prepares a recipe's images in a child process, and returns what was found.
   *
   * @throws DiffusionError as `scanDataset`; RESOURCE_EXHAUSTED (reason QUEUE_FULL) while others are being read.
   */
  scan(recipe: TrainingRecipe, signal: AbortSignal): Promise<DatasetManifest>;
}

export interface DataSourcesOptions {
  readonly access: FileAccess;
  /** Where prepared images are kept. */
  readonly cacheFolder: string;
  readonly reader: Reader;
}

const CHECK_WITHIN_MS = 20_000;

export function dataSources(options: DataSourcesOptions): DataSources {
  const { access } = options;

  async function check(recipe: TrainingRecipe): Promise<void> {
    const { source } = datasetConfig(recipe);
    try {
      await checkSource(source, { access, signal: AbortSignal.timeout(CHECK_WITHIN_MS) });
    } catch (error) {
      if (!(error instanceof DiffusionError)) throw error;
      const field = `recipe.dataset.${sourceField(source, 'location') ?? ''}`;
      const description = `wanted images at ${describeValue(addressOf(source))}; ${error.message}`;
      const { metadata, retryAfterMs, code, reason } = error;
      throw DiffusionError.received(code, reason, `${field}: ${description}`, {
        ...{ violations: [{ field, description }], metadata, cause: error },
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
    }
  }

  return {
    check,
    async isReachable(recipe) {
      try {
        await check(recipe);
        return true;
      } catch (error) {
        if (!(error instanceof DiffusionError)) throw error;
        return (
          !['NOT_FOUND', 'PERMISSION_DENIED'].includes(error.code) && error.reason !== 'STORE_NOT_CONFIGURED'
        );
      }
    },
    async scan(recipe, signal) {
      const { cacheFolder } = options;
      const config = datasetConfig(recipe);
      const answer = await options.reader.read({ kind: 'scan', config, cacheFolder, access }, signal);
      if (answer.kind !== 'scanned') throw new Error(`wanted what was scanned; got ${answer.kind}`);
      return answer.manifest;
    },
  };
}
