/** What a network computes and keeps for one image: the convolutions, which is nearly all of it. */

import { parameterSpecs, type UNetConfig } from '../../shared/model/index.js';

export interface NetworkCost {
  /** Of a forward pass over one image. */
  readonly forwardFlops: number;
  /** Values that convolutions read and write in a forward pass over one image. */
  readonly activations: number;
}

export function networkCost(config: UNetConfig): NetworkCost {
  let forwardFlops = 0;
  let activations = 0;
  for (const spec of parameterSpecs(config)) {
    if (spec.layout !== 'conv2d' && spec.layout !== 'conv1d') continue;
    const [outputs = 1, inputs = 1] = spec.shape;
    const pixels = spec.height ** 2;
    forwardFlops += 2 * spec.shape.reduce((size, length) => size * length, 1) * pixels;
    activations += (outputs + inputs) * pixels;
  }
  return { forwardFlops, activations };
}
