/** Small networks for the tests of model, loss and training. */
import { tf } from '../../shared/engine/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import { initialParameters, parameterSpecs, toEngineLayout } from '../../shared/model/index.js';
import type { UNetConfig } from '../../shared/model/index.js';

/** Three levels of 32 and 64 channels on 8x8 images, with attention on two of them. */
export const smallNetwork: UNetConfig = {
  imageSize: 8,
  inChannels: 3,
  outChannels: 6,
  modelChannels: 32,
  numResBlocks: 1,
  attentionResolutions: [4],
  channelMult: [1, 2, 2],
  dropout: 0,
  numHeads: 2,
  numHeadChannels: 16,
  useScaleShiftNorm: true,
  resblockUpdown: true,
  convResample: true,
  useNewAttentionOrder: true,
};

/** Parameters in the engine's layout; those that start as zeros get small values, so that every path counts. */
export function livelyParameters(config: UNetConfig, seed = 1n): Map<string, Float32Array> {
  const initial = initialParameters(config, seed);
  return new Map(
    parameterSpecs(config).map((spec) => {
      const start = initial.get(spec.name) ?? new Float32Array(0);
      const jitter = gaussian(deriveKey(seed, `lively ${spec.name}`), [], start.length);
      const values = start.map((value, i) => value + 0.05 * (jitter[i] ?? 0));
      return [spec.name, toEngineLayout(spec, values)];
    }),
  );
}

/** The same as tensors. */
export function livelyTensors(config: UNetConfig, seed = 1n): Record<string, tf.Tensor> {
  const values = livelyParameters(config, seed);
  return Object.fromEntries(
    parameterSpecs(config).map(({ name, engineShape }) => [
      name,
      tf.tensor(values.get(name) ?? new Float32Array(0), [...engineShape]),
    ]),
  );
}

/** Standard normal values that a name determines. */
export function noiseArray(name: string, length: number): Float32Array {
  return gaussian(deriveKey(9n, name), [], length);
}

export function noiseTensor(name: string, shape: number[]): tf.Tensor {
  const length = shape.reduce((size, side) => size * side, 1);
  return tf.tensor(noiseArray(name, length), shape);
}
