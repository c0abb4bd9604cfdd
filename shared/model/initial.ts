/** The parameters of a network that has seen nothing yet. */
import { deriveKey, gaussian, randomStream } from '../random/index.js';
import type { UNetConfig } from './config.js';
import { parameterSpecs } from './parameters.js';
import type { ParameterSpec } from './parameters.js';

/**
 * Initial values in PyTorch's layout, with PyTorch's default distributions.
 * Each parameter is a function of (seed, its name) alone, so equal layers of two networks start equal.
 *
 * @param seed An unsigned 64-bit integer.
 */
export function initialParameters(config: UNetConfig, seed: bigint): Map<string, Float32Array> {
  return new Map(parameterSpecs(config).map((spec) => [spec.name, initialValues(spec, seed)]));
}

function initialValues({ name, shape, initial }: ParameterSpec, seed: bigint): Float32Array {
  const values = new Float32Array(shape.reduce((size, length) => size * length, 1));
  switch (initial.kind) {
    case 'zeros':
      return values;
    case 'ones':
      return values.fill(1);
    case 'normal':
      return gaussian(deriveKey(seed, `parameter/${name}`), [], values.length);
    case 'uniform': {
      const stream = randomStream(deriveKey(seed, `parameter/${name}`), []);
      return values.map(() => (2 * stream.uniform() - 1) * initial.bound);
    }
  }
}
