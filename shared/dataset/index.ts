export { batches, startOfData } from './batches.js';
export type { Batch, BatchOptions, BatchSource, DataPosition } from './batches.js';
export { openDataset, scanDataset } from './dataset.js';
export type { Dataset, OpenOptions, PrepareOptions } from './dataset.js';
export type { DatasetConfig, DatasetSource } from './dataset-config.js';
export type { OnProgress } from './image-source.js';
export type { DatasetManifest, SizesFound } from './manifest.js';
export type { SkippedFiles } from './skipped-files.js';
