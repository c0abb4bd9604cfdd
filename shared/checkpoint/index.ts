export { decodeSafetensors, encodeSafetensors } from './safetensors.js';
export type { DecodedSafetensors, SafetensorsLimits } from './safetensors.js';
export type { ElementArrays, StoredDtype, TensorData } from './tensor-data.js';
export { checkFinite, checkTensors } from './check-tensors.js';
export { canonicalJson } from './canonical-json.js';
export { decodeManifest, encodeManifest, manifestFormatVersion } from './manifest.js';
export type { Manifest, ManifestObject } from './manifest.js';
export { averageObject, emaObject, optimizerObject, stateObject, weightsObject } from './object-names.js';
