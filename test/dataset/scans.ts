/** Scans of sources, and what they refuse or skip. */
import type { ExecutionContext } from 'ava';
import {
  scanDataset,
  sourceAt,
  type DatasetManifest,
  type SourceKindName,
} from '../../shared/dataset/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { temporaryFolder } from './folders.js';
import type { Place } from './places.js';

interface ScanOptions {
  readonly kind?: SourceKindName;
  readonly classes?: boolean;
  readonly onProgress?: () => void;
}

export async function scan(
  t: ExecutionContext,
  { address, access }: Pick<Place, 'address' | 'access'>,
  { kind, classes = false, onProgress }: ScanOptions = {},
): Promise<DatasetManifest> {
  const config = { source: sourceAt(address, { kind, classes }), imageSize: 8, channels: 3 as const };
  const options = { cacheFolder: await temporaryFolder(t), access, ...(onProgress && { onProgress }) };
  return scanDataset(config, options);
}

export async function refusal(t: ExecutionContext, work: Promise<unknown>): Promise<DiffusionError> {
  return t.throwsAsync(work, { instanceOf: DiffusionError });
}

export function counts({ skipped }: DatasetManifest): Record<string, number> {
  return Object.fromEntries(skipped.map(({ reason, count }) => [reason, count]));
}
