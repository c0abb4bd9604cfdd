/** `sample`: draws images from a model into files. */

import { join } from 'node:path';

import {
  imageFormats,
  msFromDuration,
  precisions,
  samplers,
  type samplerWire,
  type samplingWire,
} from '../../../shared/contract/index.js';
import { PRECISIONS } from '../../../shared/recipe/index.js';
import { command } from '../command.js';
import { samplerAddress, withSampler } from '../connect.js';
import { formatCount, formatDuration, formatNumber } from '../format.js';
import { generateImages, type Generated } from '../generate-images.js';
import { integer, integers, oneOf, option, real, text, uint64, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';

const DEFAULT_STEPS = 50;
const MAX_STEPS = 10_000;
const MAX_UINT32 = 2 ** 32 - 1;

const options = {
  count: option(integer(1, MAX_UINT32), 'images', { fallback: 64 }),
  steps: option(
    integer(1, MAX_STEPS),
    `evenly spaced steps of each image; ${DEFAULT_STEPS} where it is left out`,
  ),
  respacing: option(text('GRAMMAR'), 'the steps in the reference\'s grammar: "80", "10,15,20" or "ddim50"'),
  sampler: option(oneOf(['ancestral', 'ddim']), 'how an image is drawn', { fallback: 'ancestral' }),
  eta: option(real(0, 1), "DDIM's randomness; 0 where it is left out"),
  seed: option(uint64, 'of the noise', { fallback: 0n }),
  firstIndex: option(uint64, 'index of the first image; a higher one goes on where a call ended', {
    fallback: 0n,
  }),
  classes: option(integers, 'of a class-conditional model: one class, or one an image'),
  version: option(uint64, "a checkpoint's step; the newest where it is left out"),
  emaRate: option(real(0, 1), 'which average of the weights, 0 for none; the largest where it is left out'),
  format: option(oneOf(['png', 'webp']), 'of the files', { fallback: 'png' }),
  output: option(text('DIR'), 'takes the images and provenance.json', { fallback: 'samples' }),
  grid: option(text('FILE'), 'takes a picture of all images; grid.png in that folder where it is left out'),
  precision: option(oneOf(PRECISIONS), 'what the network multiplies', { fallback: 'float32' }),
  previewEvery: option(integer(1, MAX_STEPS), 'also save what each image is heading for, every N steps'),
  address: samplerAddress,
};

type SampleValues = Values<typeof options>;

export const sample = command({
  name: 'sample',
  summary: 'draws images from a model into files',
  positionals: [{ name: 'MODEL', help: 'the name of a model, as `models` lists them' }],
  options,
  examples: [
    { arguments: 'MODEL', does: `64 images in ${DEFAULT_STEPS} steps` },
    { arguments: 'MODEL --sampler ddim --steps 20 --count 16 --output few', does: 'a quick look' },
    { arguments: 'MODEL --count 64 --first-index 64', does: 'the next 64 of the same seed' },
    {
      arguments: 'MODEL --version 5000 --ema-rate 0 --respacing ddim50',
      does: 'an older checkpoint, bare weights',
    },
  ],
  notes: [
    'An image depends on the checkpoint, the settings, the seed and its index alone: the same call gives the same files.',
  ],
  run: async ({ options: values, positionals: [model = ''] }, context) => {
    const request = requestOf(model, values);
    const { output: folder } = values;
    const gridPath = values.grid ?? join(folder, 'grid.png');
    return withSampler(values.address, async (client) => {
      const { terminal, signal } = context;
      const onEnd = ({ images, completed }: Generated): void => {
        if (completed === undefined && images > 0)
          terminal.print(`${formatCount(images)} images are in ${folder}`);
        if (completed === undefined && signal.aborted)
          terminal.print('stopped; the same command draws all of them anew');
      };
      const { completed } = await generateImages(client, request, { folder, gridPath }, context, onEnd);
      if (completed !== undefined) terminal.print(describeCompleted(completed));
      terminal.print(`images and provenance.json in ${folder}, all in one picture: ${gridPath}`);
      return 0;
    });
  },
});

function requestOf(model: string, values: SampleValues): samplerWire.GenerateRequest {
  const { count, seed, firstIndex, version, emaRate, format, previewEvery = 0, classes = [] } = values;
  return {
    model,
    version,
    emaRate,
    count,
    seed,
    firstIndex,
    settings: {
      sampler: samplers.write(values.sampler),
      timesteps: timestepsOf(values),
      eta: values.eta,
      clipDenoised: undefined,
      precision: precisions.write(values.precision),
    },
    format: imageFormats.write(format),
    previewEverySteps: previewEvery,
    classes,
  };
}

function timestepsOf({ steps, respacing }: SampleValues): samplingWire.SamplerSettings['timesteps'] {
  if (steps !== undefined && respacing !== undefined) {
    throw new UsageError('--steps and --respacing exclude each other', 'ip-diffusion sample');
  }
  return respacing === undefined
    ? { $case: 'steps', value: steps ?? DEFAULT_STEPS }
    : { $case: 'respacing', value: respacing };
}

/** How long it took. */
export function describeCompleted({ images, elapsed, imagesPerSecond }: samplerWire.Completed): string {
  const took = elapsed === undefined ? '' : ` in ${formatDuration(msFromDuration(elapsed))}`;
  return `${formatCount(images)} images${took} (${formatNumber(imagesPerSecond)} images/s)`;
}
