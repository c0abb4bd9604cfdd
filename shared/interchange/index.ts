export { openTensorFile } from './tensor-file.js';
export type { TensorFile } from './tensor-file.js';
