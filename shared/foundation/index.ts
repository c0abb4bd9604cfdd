export { abortError, onAbort, pause, throwIfAborted, unlessAborted, whenAborted } from './abort.js';
export {
  DiffusionError,
  describeValue,
  invalidArgument,
  isInvalid,
  protoName,
  shortened,
  unmet,
  violation,
  violationsText,
  within,
} from './errors.js';
export type { Demand, ErrorDetails, FieldViolation, InvalidReason } from './errors.js';
export {
  address,
  bool,
  integer,
  isInteger,
  list,
  matching,
  oneOf,
  positive,
  real,
  textThat,
  uint64,
} from './kinds.js';
export type { Kind, ListKind, Parser, WordKind } from './kinds.js';
export { ERROR_CODES, isReason, isWireReason, REASONS, WIRE_REASONS } from './reasons.js';
export type { ErrorCode, Reason, WireReason } from './reasons.js';
export { mapInOrder } from './map-in-order.js';
export { systemClock } from './clock.js';
export type { Clock } from './clock.js';
export { at } from './at.js';
export { machineMemoryBytes } from './machine-memory.js';
export { changes } from './changes.js';
export type { Changes } from './changes.js';
export { compareUtf8 } from './byte-order.js';
export { deferred } from './deferred.js';
export type { Deferred } from './deferred.js';
export { countSchema, positiveCountSchema } from './schemas.js';
export { runningTime } from './running-time.js';
export { packageFile } from './package-file.js';
export { processorFeatures, processorIdentity } from './processor.js';
export { DEVICE_SETTINGS, deviceSettings } from './device-settings.js';
export type { DeviceSettings } from './device-settings.js';
export {
  cacheFolder,
  downloadsFolder,
  count,
  datasetCacheFolder,
  engineEnvironment,
  ENGINE_SETTINGS,
  environmentReader,
} from './environment.js';
export type { Environment, EnvironmentReader } from './environment.js';
export { anyText, onOff, setting, texts } from './setting.js';
export type { Setting, Settings, Settled } from './setting.js';
export { nearest } from './nearest.js';
