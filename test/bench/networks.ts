/** The networks that are measured. */
import { resolveRecipe, unetConfig } from '../../shared/recipe/index.js';
import type { UNetConfig } from '../../shared/model/index.js';

/** 57.1M parameters: the paper's network for CIFAR10. */
export const CIFAR10_32 = unetConfig(resolveRecipe({ preset: 'cifar10-32', ...folder() }, 'bench'));

/** 8.0M parameters: small enough for a processor, of the same parts. */
export const SMALL_32: UNetConfig = {
  ...CIFAR10_32,
  modelChannels: 64,
  numResBlocks: 2,
  channelMult: [1, 2, 2],
  dropout: 0,
};

// The preset does not set where its images are, and no image is read here.
function folder(): object {
  return { dataset: { source: { kind: 'folder', path: '.' } } };
}
