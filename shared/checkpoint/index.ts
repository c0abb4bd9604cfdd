export { allocateSafetensors, decodeSafetensors, encodeSafetensors } from './safetensors.js';
export type { AllocatedSafetensors, DecodedSafetensors, SafetensorsLimits } from './safetensors.js';
export type { ByteSource, StoredTensor } from './stored-tensor.js';
export { openTensorFile } from './tensor-file.js';
export type { TensorFile } from './tensor-file.js';
export type { ElementArrays, StoredDtype, TensorData } from './tensor-data.js';
export { checkFinite, checkTensors } from './check-tensors.js';
export { canonicalJson } from './canonical-json.js';
export { decodeManifest, encodeManifest, manifestFormatVersion } from './manifest.js';
export type { Manifest, ManifestObject } from './manifest.js';
export { averageOf, averageRates } from './averages.js';
export {
  emaObject,
  importJobPrefix,
  optimizerObject,
  stateObject,
  weightsObject,
} from './object-names.js';
