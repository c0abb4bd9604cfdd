/** The U-Net. */

import { field, section } from '../../fields/index.js';
import { bool, integer, list, real } from '../../foundation/index.js';

export const architecture = section("the reference's U-Net; the image size is the data set's", {
  modelChannels: field(integer(32, 1024), 'channels at full resolution, a multiple of 32'),
  numResBlocks: field(integer(1, 8), 'residual blocks of each level'),
  channelMult: field(list(integer(1, 16), 1, 8), 'factor of model_channels at each level, the finest first'),
  attentionResolutions: field(
    list(integer(1, 512), 0, 8),
    'resolutions with self-attention, in pixels of the feature map',
  ),
  dropout: field(real(0, 0.99), 'dropout in the residual blocks'),
  numHeads: field(integer(1, 64), 'attention heads, where num_head_channels is 0', { default: 4 }),
  numHeadChannels: field(integer(0, 512), 'channels of an attention head; 0 for num_heads heads'),
  useScaleShiftNorm: field(bool, 'whether the timestep embedding scales and shifts after the group norms', {
    default: true,
  }),
  resblockUpdown: field(bool, 'use residual blocks for up- and downsampling', { default: true }),
  convResample: field(bool, 'use convolutions for up- and downsampling, where no residual blocks do it', {
    default: true,
  }),
  useNewAttentionOrder: field(bool, 'split query, key and value before the heads', { default: true }),
  numClasses: field(integer(0, 100_000), 'classes of a class-conditional network; 0 for none', {
    default: 0,
  }),
});
