export { deriveKey, gaussian, permutation, philox4x32, randomStream, seedPair } from './random.js';
export type { Counter, RandomKey, RandomStream } from './random.js';
