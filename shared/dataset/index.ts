export { batches, startOfData } from './batches.js';
export type { Batch, BatchOptions, BatchSource, DataPosition } from './batches.js';
export { openDataset, scanDataset } from './dataset.js';
export type { Dataset, OpenOptions, PrepareOptions } from './dataset.js';
export type { DatasetConfig } from './dataset-config.js';
export { holdOut } from './hold-out.js';
export type { Split } from './hold-out.js';
export type { OnProgress } from './image-source.js';
export type { DatasetManifest, SizesFound } from './manifest.js';
export type { SkippedFiles } from './skipped-files.js';
export { npzFault } from './npy.js';
export { openNpz } from './npz-file.js';
export type { NpzFile, NpzImages } from './npz-file.js';
export { writeNpz } from './npz-writer.js';
export type { NpzArray } from './npz-writer.js';
export { openPack } from './packed-cache.js';
export type { Pack } from './packed-cache.js';
export { checkSource } from './open-source.js';
export {
  addressOf,
  describeSource,
  FILE_KINDS,
  hasClasses,
  sourceAt,
  sourceField,
  SOURCES,
} from './sources.js';
export type { DatasetSource, SourceKindName } from './sources.js';
export { tarEntries } from './tar-entries.js';
export type { TarEntry } from './tar-entries.js';
export { tarOf } from './tar-writer.js';
export type { TarFile } from './tar-writer.js';
