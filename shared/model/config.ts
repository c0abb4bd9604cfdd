/** The U-Net's hyper-parameters, and which of them go together. */
import { isInteger, unmet, violation, type Demand, type FieldViolation } from '../foundation/index.js';

/** Source: forever208/DDPM-IP@1f767192 guided_diffusion/unet.py:383-441. */
export interface UNetConfig {
  /** Height and width of the images, in pixels. */
  readonly imageSize: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly modelChannels: number;
  readonly numResBlocks: number;
  /** Heights of the feature maps that get attention, such as [16, 8]. */
  readonly attentionResolutions: readonly number[];
  /** One factor of `modelChannels` for each level, the finest first. */
  readonly channelMult: readonly number[];
  readonly dropout: number;
  /** Heads of each attention layer where `numHeadChannels` is -1. */
  readonly numHeads: number;
  /** Channels of a head, or -1 to use `numHeads`. */
  readonly numHeadChannels: number;
  readonly useScaleShiftNorm: boolean;
  /** Residual blocks that resample, instead of separate layers between the levels. */
  readonly resblockUpdown: boolean;
  /** Whether those separate layers have a convolution. */
  readonly convResample: boolean;
  /** Split qkv into q, k, v before heads; the legacy order splits heads first. Weights differ between the two. */
  readonly useNewAttentionOrder: boolean;
  readonly numClasses?: number | undefined;
}

/** Groups of every group norm. */
export const NORM_GROUPS = 32;

/** Channels of a level. */
export function levelChannels(config: UNetConfig, mult: number): number {
  return Math.trunc(mult * config.modelChannels);
}

/** Heads of an attention layer over so many channels. */
export function headsOf(config: UNetConfig, channels: number): number {
  return config.numHeadChannels === -1 ? config.numHeads : channels / config.numHeadChannels;
}

const isCount = (value: number): boolean => isInteger(value, 1);

/** Every reason why no network can be built from the configuration; none when it can. */
export function unetViolations(config: UNetConfig): FieldViolation[] {
  const found = unmet((demand) => {
    checkEach(config, demand);
  });
  return found.length > 0 ? found : structuralViolations(config);
}

function checkEach(config: UNetConfig, demand: Demand): void {
  for (const field of ['imageSize', 'inChannels', 'outChannels', 'modelChannels', 'numResBlocks'] as const) {
    demand(isCount(config[field]), field, 'a positive integer', config[field]);
  }
  const { channelMult, dropout, numClasses, numHeads, numHeadChannels } = config;
  demand(
    channelMult.length > 0 && channelMult.every((mult) => Number.isFinite(mult) && mult > 0),
    'channelMult',
    'one positive factor for each level',
    channelMult,
  );
  demand(dropout >= 0 && dropout < 1, 'dropout', 'a probability from 0 up to but not 1', dropout);
  demand(
    numClasses === undefined || isCount(numClasses),
    'numClasses',
    'a positive integer, or nothing',
    numClasses,
  );
  demand(
    numHeadChannels === -1 || isCount(numHeadChannels),
    'numHeadChannels',
    'a positive integer, or -1',
    numHeadChannels,
  );
  demand(numHeadChannels !== -1 || isCount(numHeads), 'numHeads', 'a positive integer', numHeads);
}

function structuralViolations(config: UNetConfig): FieldViolation[] {
  const { imageSize, channelMult, attentionResolutions, modelChannels } = config;
  const found: FieldViolation[] = [];
  const factor = 2 ** (channelMult.length - 1);
  if (imageSize % factor !== 0) {
    found.push(
      violation('imageSize', `a multiple of ${factor}, for ${channelMult.length} levels`, imageSize),
    );
  }
  const resolutions = channelMult.map((_, level) => imageSize / 2 ** level);
  const unknown = attentionResolutions.filter((resolution) => !resolutions.includes(resolution));
  if (unknown.length > 0) {
    found.push(violation('attentionResolutions', `heights of levels (${resolutions.join(', ')})`, unknown));
  }
  if (modelChannels % 2 !== 0) found.push(violation('modelChannels', 'an even number', modelChannels));

  channelMult.forEach((mult, level) => {
    const channels = levelChannels(config, mult);
    if (channels === 0 || channels % NORM_GROUPS !== 0) {
      found.push(
        violation(
          'modelChannels',
          `a multiple of ${NORM_GROUPS} channels at level ${level} (group norm)`,
          channels,
        ),
      );
    }
    // The middle block attends at the coarsest level whatever `attentionResolutions` says.
    const attends = level === channelMult.length - 1 || attentionResolutions.includes(imageSize / 2 ** level);
    if (attends && !dividesIntoHeads(config, channels)) {
      const field = config.numHeadChannels === -1 ? 'numHeads' : 'numHeadChannels';
      found.push(violation(field, `a divisor of the ${channels} channels at level ${level}`, config[field]));
    }
  });
  return found;
}

function dividesIntoHeads(config: UNetConfig, channels: number): boolean {
  return channels % (config.numHeadChannels === -1 ? config.numHeads : config.numHeadChannels) === 0;
}
