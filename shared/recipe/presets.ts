/** The recipes that the paper's tables come from, and a small one that shows something in minutes. */

import type { PresetName, Variant } from './limits.js';
import { DEFAULTS, type PartialRecipe } from './table.js';

/** The reference's networks by image size (script_util.py, create_model; README, MODEL_FLAGS). */
const NETWORKS = {
  32: { modelChannels: 128, numHeadChannels: 32, channelMult: [1, 2, 2, 2], attentionResolutions: [16, 8] },
  64: {
    modelChannels: 192,
    numHeadChannels: 64,
    channelMult: [1, 2, 3, 4],
    attentionResolutions: [32, 16, 8],
  },
  128: {
    modelChannels: 256,
    numHeadChannels: 64,
    channelMult: [1, 1, 2, 3, 4],
    attentionResolutions: [32, 16, 8],
  },
};

/**
 * Hyper-parameters of github.com/forever208/DDPM-IP (README), iterations of the paper's ADM-IP rows. An objective that a
 * preset states is what it is for, and stands whatever variant is asked for.
 */
export const PRESETS: Readonly<Record<PresetName, PartialRecipe>> = {
  'demo-32': {
    dataset: { source: { kind: 'twemoji' }, imageSize: 32 },
    architecture: {
      modelChannels: 32,
      numResBlocks: 1,
      channelMult: [1, 1, 2, 2],
      attentionResolutions: [8],
      dropout: 0,
      numHeadChannels: 32,
      // Plain convolutions up and down take a third off a step's time.
      resblockUpdown: false,
    },
    optimizer: { learningRate: 1e-3 },
    ema: { warmUp: true },
    training: {
      steps: 1000,
      batchSize: 32,
      checkpointEverySteps: 100,
      sampleEverySteps: 100,
      logEverySteps: 1,
    },
    evaluation: { images: 32, everySteps: 100 },
  },
  'cifar10-32': paperPreset({ imageSize: 32, gamma: 0.15, dropout: 0.3, batchSize: 128, steps: 460_000 }),
  'cifar10-32-ddpm': rowOfTable7('DDPM'),
  'cifar10-32-ddpm-ip': rowOfTable7('DDPM-IP'),
  'cifar10-32-ddpm-y': rowOfTable7('DDPM-y'),
  'imagenet-32': paperPreset({ imageSize: 32, gamma: 0.1, dropout: 0.3, batchSize: 512, steps: 4_000_000 }),
  'lsun-tower-64': paperPreset({ imageSize: 64, gamma: 0.1, dropout: 0.1, batchSize: 256, steps: 220_000 }),
  'celeba-64': paperPreset({ imageSize: 64, gamma: 0.1, dropout: 0.1, batchSize: 256, steps: 300_000 }),
  'ffhq-128': paperPreset({ imageSize: 128, gamma: 0.1, dropout: 0.1, batchSize: 128, steps: 180_000 }),
};

function paperPreset(of: {
  imageSize: keyof typeof NETWORKS;
  gamma: number;
  dropout: number;
  batchSize: number;
  steps: number;
}): PartialRecipe {
  return {
    dataset: { imageSize: of.imageSize },
    inputPerturbation: { gamma: of.gamma },
    architecture: { ...NETWORKS[of.imageSize], numResBlocks: 3, dropout: of.dropout },
    training: { steps: of.steps, batchSize: of.batchSize },
    // Why: the reference trains on every image; without held-out images, no two variants' errors can be compared.
    evaluation: { images: 64, everySteps: 500 },
  };
}

/** Input and target of a variant on ADM's network, variance and loss: nothing else may differ between the rows. */
function rowOfTable7(variant: Variant): PartialRecipe {
  const { varianceType, lossType, timestepSampler } = DEFAULTS.objective ?? {};
  return {
    // The paper's gamma; the released model's is 0.15. ADM's iterations for all three.
    ...paperPreset({ imageSize: 32, gamma: 0.1, dropout: 0.3, batchSize: 128, steps: 500_000 }),
    variant,
    objective: { varianceType, lossType, timestepSampler },
  };
}

const FIXED_VARIANCE: PartialRecipe['objective'] = {
  varianceType: 'fixed_large',
  lossType: 'mse',
  timestepSampler: 'uniform',
};

/** What asking for a variant sets, beside the preset; with input perturbation the preset's gamma stays. */
export const VARIANT_FIELDS: Readonly<Record<Variant, PartialRecipe>> = {
  DDPM: { inputPerturbation: { gamma: 0 }, objective: FIXED_VARIANCE },
  'DDPM-IP': { objective: FIXED_VARIANCE },
  'DDPM-y': { inputPerturbation: { target: 'normalised' }, objective: FIXED_VARIANCE },
  ADM: { inputPerturbation: { gamma: 0 } },
  'ADM-IP': {},
  'ADM-GP': { inputPerturbation: { gamma: 0 } },
  'ADM-WD': { inputPerturbation: { gamma: 0 } },
};
