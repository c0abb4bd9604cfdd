/** Where jobs' images are: whether they can be reached from this machine, and what is in them. */

import { addressOf, checkSource, sourceField, type DatasetManifest } from '../../shared/dataset/index.js';
import {
  describeValue,
  DiffusionError,
  onAbort,
  throwIfAborted,
  type Clock,
  type Environment,
} from '../../shared/foundation/index.js';
import { describeExit, exitDetail, siblingModule, startChild } from '../../shared/processes/index.js';
import { datasetConfig, type TrainingRecipe } from '../../shared/recipe/index.js';
import type { FileAccess } from '../../shared/store/index.js';
import { scanProtocol, type FromScan } from './scan-messages.js';

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
  /** The whole environment of the processes that read images. */
  readonly environment: Environment;
  /** A process that sends no heartbeat for this long is killed. */
  readonly heartbeatTimeoutMs: number;
  readonly clock: Clock;
}

const CHECK_WITHIN_MS = 20_000;
const STOP_WITHIN_MS = 5000;
const SCANS_AT_ONCE = 4;
const RETRY_AFTER_MS = 10_000;

export function dataSources(options: DataSourcesOptions): DataSources {
  const { access } = options;
  let scans = 0;

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
        return error.code !== 'NOT_FOUND' && error.reason !== 'STORE_NOT_CONFIGURED';
      }
    },
    async scan(recipe, signal) {
      if (scans >= SCANS_AT_ONCE) {
        const message = `${SCANS_AT_ONCE} data sets are being read; try again when one of them is done`;
        throw new DiffusionError('QUEUE_FULL', message, { retryAfterMs: RETRY_AFTER_MS });
      }
      scans += 1;
      try {
        return await scanInChild(recipe, options, signal);
      } finally {
        scans -= 1;
      }
    },
  };
}

async function scanInChild(
  recipe: TrainingRecipe,
  { access, cacheFolder, environment, heartbeatTimeoutMs, clock }: DataSourcesOptions,
  signal: AbortSignal,
): Promise<DatasetManifest> {
  let answer: FromScan | undefined;
  const child = startChild({
    protocol: scanProtocol,
    ...{ module: siblingModule(import.meta.url, './scan-process'), environment, heartbeatTimeoutMs, clock },
    onMessage: (message) => {
      answer = message;
      child.kill();
    },
  });
  child.send({ kind: 'scan', config: datasetConfig(recipe), cacheFolder, access });
  let timer: NodeJS.Timeout | undefined;
  const stopListening = onAbort(signal, () => {
    child.send({ kind: 'stop' });
    // It can't end by itself while the file system that it reads hangs.
    timer = setTimeout(child.kill, STOP_WITHIN_MS);
  });
  const exit = await child.exited;
  stopListening();
  clearTimeout(timer);
  if (answer === undefined) {
    throwIfAborted(signal, 'reading the data set');
    throw new Error(`the process that read the data set ${describeExit(exit)}: ${exitDetail(exit)}`);
  }
  if (answer.kind === 'scanned') return answer.manifest;
  const { reason, message, metadata } = answer;
  throw new DiffusionError(reason, message, { metadata });
}
