/** From what a recipe says of its images to a source that can be prepared. */
import { DiffusionError } from '../foundation/index.js';
import { fileAccess, openFiles, type FileAccess, type FileSource, type OutageRetry } from '../store/index.js';
import type { DatasetConfig } from './dataset-config.js';
import type { ImageSource } from './image-source.js';
import { addressOf, kindOf, type DatasetSource } from './sources.js';

export interface SourceOptions {
  /** How files are reached; default: those of this machine alone. */
  readonly access?: FileAccess | undefined;
  /** Repeats what fails by an outage; default: a few tries. */
  readonly retryOutage?: OutageRetry | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a source, lends it, and closes it.
 *
 * @throws DiffusionError NOT_FOUND (reason DATASET_NOT_FOUND); FAILED_PRECONDITION (reason STORE_NOT_CONFIGURED) where
 * nothing says how its files are reached; what `FileSource` throws; what `use` throws.
 */
export async function withSource<T>(
  { source, ...settings }: DatasetConfig,
  options: SourceOptions,
  use: (source: ImageSource) => Promise<T>,
): Promise<T> {
  const kind = kindOf(source);
  if (kind === undefined) throw new Error(`there is no data source of kind ${source.kind}`);
  if (kind.location === undefined) return use(await kind.open(source, settings));
  const { signal } = options;
  return withFiles(source, options, async (files) =>
    use(await kind.open(source, { ...settings, files, signal })),
  );
}

/**
 * Asks whether a source's files are where it says; what is in them shows when they are prepared.
 *
 * @throws DiffusionError as `withSource`.
 */
export async function checkSource(source: DatasetSource, options: SourceOptions): Promise<void> {
  if (addressOf(source) !== undefined) await withFiles(source, options, (files) => files.check(options));
}

async function withFiles<T>(
  source: DatasetSource,
  { access = fileAccess({}), retryOutage }: SourceOptions,
  use: (files: FileSource) => Promise<T>,
): Promise<T> {
  const address = addressOf(source) ?? '';
  const extension = kindOf(source)?.extension;
  const files = await openFiles(address, access, { extension, retryOutage });
  try {
    return await use(files);
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'NOT_FOUND') throw error;
    throw new DiffusionError('DATASET_NOT_FOUND', error.message, {
      metadata: { path: address },
      cause: error,
    });
  } finally {
    await files.close();
  }
}
