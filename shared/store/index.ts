export { checkStore } from './check-store.js';
export { tryStore } from './try-store.js';
export { watchStore } from './store-watch.js';
export type { StoreWatch } from './store-watch.js';
export { notedStore, storeCallsSchema, storeCallTally } from './store-calls.js';
export type { StoreCall, StoreCalls } from './store-calls.js';
export { storeMetrics, STORE_METRICS } from './store-metrics.js';
export type { StoreMetrics } from './store-metrics.js';
export { openLocalStore } from './local-store.js';
export type { LocalStoreSettings } from './local-store.js';
export type {
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectStore,
  PutOptions,
  StoredObject,
} from './object-store.js';
export {
  isPassing,
  outageDelayMs,
  outageRetry,
  outageTooLong,
  retryingStore,
  retryOutages,
} from './retrying-store.js';
export type { OutageSettings, OutageRetry } from './retrying-store.js';
export { syncFolder } from './local-files.js';
export { putIf } from './put-if.js';
export { isLostCondition, isNotFound } from './store-errors.js';
export {
  allowedFile,
  fileAccess,
  hasScheme,
  isFileAddress,
  openFiles,
  STORE_NOTES,
  DATASET_SETTINGS,
  STORE_PLACEHOLDER,
  STORE_SETTINGS,
  storeAddress,
  storeFromSettings,
  storeSettings,
} from './stores.js';
export type { FileAccess, StoreSettings } from './stores.js';
export { DATA_SETTINGS } from './data-places.js';
export { DEFAULT_STORE_FOLDER, STORE_VARIABLE } from './store-kind.js';
export type { FilesOptions } from './store-kind.js';
export { piecesOf } from './file-source.js';
export type { FileListing, FileProblem, FileSource, FoundFile } from './file-source.js';
export { nearestFolder } from './local.js';
export { sha256Of } from './digest.js';
export { isSegment } from './keys.js';
