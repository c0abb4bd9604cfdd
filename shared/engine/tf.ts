/**
 * tfjs's interface, for the whole project.
 *
 * It is loaded by `require`: an `import` of a CommonJS package first searches its text for what it exports, which takes
 * longer here than running it, and every process of the engine would pay for that.
 */
import { createRequire } from 'node:module';

import type * as core from '@tensorflow/tfjs-core';

const load = createRequire(import.meta.url);

export const tf = load('@tensorflow/tfjs-core') as typeof core;

/** Makes TensorFlow's native library tfjs's backend. @throws what the addon throws where the library can't be loaded. */
export function requireBackend(): void {
  load('@tensorflow/tfjs-node-gpu');
}

/** Registers tfjs's gradients, which come with the package of all of tfjs; its native library isn't loaded. */
export function requireGradients(): void {
  createRequire(load.resolve('@tensorflow/tfjs-node-gpu/package.json'))('@tensorflow/tfjs');
}

/** The types of tfjs that the project names. */
export declare namespace tf {
  type BackendValues = core.BackendValues;
  type DataType = core.DataType;
  type KernelBackend = core.KernelBackend;
  type NamedTensorInfoMap = core.NamedTensorInfoMap;
  type Scalar = core.Scalar;
  type Tensor<R extends core.Rank = core.Rank> = core.Tensor<R>;
  type Tensor1D = core.Tensor1D;
  type Tensor2D = core.Tensor2D;
  type Tensor4D = core.Tensor4D;
  type TensorInfo = core.TensorInfo;
}
