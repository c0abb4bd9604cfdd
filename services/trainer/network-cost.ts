/** What a network computes and keeps for one image: the convolutions, which is nearly all of it. */

import { parameterSpecs, type ParameterSpec, type UNetConfig } from '../../shared/model/index.js';

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
    const pixels = (config.imageSize / 2 ** levelOf(spec, config)) ** 2;
    forwardFlops += 2 * spec.shape.reduce((size, length) => size * length, 1) * pixels;
    activations += (outputs + inputs) * pixels;
  }
  return { forwardFlops, activations };
}

/** The level at which a layer works: 0 for the images' size, each further one half of it. */
function levelOf(
  { name }: ParameterSpec,
  { channelMult, numResBlocks, attentionResolutions, imageSize }: UNetConfig,
): number {
  const last = channelMult.length - 1;
  const [part, block = '0', layer = '0'] = name.split('.');
  const span = numResBlocks + 1;
  switch (part) {
    case 'input_blocks': {
      // Block 0 is the first convolution; each level's blocks end in one that leads to the next level.
      const index = Number(block) - 1;
      return index < 0 ? 0 : Math.floor(index / span) + (index % span === numResBlocks ? 1 : 0);
    }
    case 'middle_block':
      return last;
    case 'output_blocks': {
      const level = last - Math.floor(Number(block) / span);
      const layersBeforeUp = attentionResolutions.includes(imageSize / 2 ** level) ? 2 : 1;
      return Number(layer) === layersBeforeUp ? level - 1 : level;
    }
    default:
      return 0;
  }
}
