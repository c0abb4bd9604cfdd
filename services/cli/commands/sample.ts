/** `sample`: draws images from a model into files. */

import { join } from 'node:path';

import {
  imageFormats,
  msFromDuration,
  precisions,
  samplerSettingsToWire,
  samplerWire,
} from '../../../shared/contract/index.js';
import { command } from '../command.js';
import { samplerAddress, withSampler } from '../connect.js';
import { formatCount, formatDuration, formatNumber } from '../format.js';
import { generateImages, type Generated } from '../generate-images.js';
import { flag, integer, integers, oneOf, option, real, text, uint64, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { readPicture, readStart } from '../picture-files.js';
import { readTokens } from '../resume-files.js';
import { DEFAULT_STEPS, MAX_STEPS, samplerOptions, samplerSettingsOf } from '../sampler-options.js';

const DEFAULT_COUNT = 64;
const MAX_UINT32 = 2 ** 32 - 1;
const USAGE = 'ip-diffusion sample';

const options = {
  count: option(
    integer(1, MAX_UINT32),
    `images; as many as there are with --from, else ${DEFAULT_COUNT}, where it is left out`,
  ),
  ...samplerOptions,
  seed: option(uint64, 'of the noise', { fallback: 0n }),
  toSeed: option(uint64, "walk from the seed's image to this seed's"),
  firstIndex: option(uint64, 'index of the first image; a higher one goes on where a call ended', {
    fallback: 0n,
  }),
  classes: option(integers, 'of a class-conditional model: one class, or one an image'),
  version: option(uint64, "a checkpoint's step; the newest where it is left out"),
  emaRate: option(real(0, 1), 'which average of the weights, 0 for none; the largest where it is left out'),
  from: option(
    text('PATH'),
    'start from this picture, or those of this folder, or .f32 files of ddim_encode',
  ),
  skipSteps: option(
    integer(0, MAX_STEPS),
    'with --from: leave out so many first steps; more keep more of it',
    {
      fallback: 0,
    },
  ),
  inpaint: option(text('FILE'), 'draw a part of this picture only; needs --mask'),
  mask: option(text('FILE'), 'white where it is drawn'),
  format: option(oneOf(['png', 'webp', 'raw']), 'of the files; raw (float32) for ddim_encode, else png'),
  output: option(text('DIR'), 'takes the images and provenance.json', { fallback: 'samples' }),
  grid: option(text('FILE'), 'takes a picture of all images; grid.png in that folder where it is left out'),
  previewEvery: option(integer(1, MAX_STEPS), 'also save what each image is heading for, every N steps'),
  trajectoryEvery: option(integer(1, MAX_STEPS), 'also save each image as it is, raw, every N steps'),
  resumeEvery: option(
    integer(1, MAX_STEPS),
    'keep a file with which an image can be gone on with, every N steps',
  ),
  resume: flag('go on with the images whose such files are in the output folder'),
  address: samplerAddress,
};

type SampleValues = Values<typeof options>;

export const sample = command({
  name: 'sample',
  summary: 'draws images from a model into files',
  positionals: [
    {
      name: 'MODEL',
      help: 'the name of a model, as `models` lists them; none with --resume',
      optional: true,
    },
  ],
  options,
  examples: [
    { arguments: 'MODEL', does: `${DEFAULT_COUNT} images in ${DEFAULT_STEPS} steps` },
    { arguments: 'MODEL --sampler dpmpp_2m --steps 15 --count 16 --output few', does: 'a quick look' },
    { arguments: 'MODEL --epsilon-scaling 1.005', does: 'with a remedy for exposure bias' },
    { arguments: 'MODEL --count 64 --first-index 64', does: 'the next 64 of the same seed' },
    { arguments: 'MODEL --from photos --skip-steps 25', does: 'image to image' },
    {
      arguments: 'MODEL --version 5000 --ema-rate 0 --respacing ddim50',
      does: 'an older checkpoint, bare weights',
    },
  ],
  notes: [
    'An image depends on the checkpoint, the settings, the seed and its index alone: the same call gives the same files.',
  ],
  run: async ({ options: values, positionals: [model = ''] }, context) => {
    const request = values.resume ? await resumingRequest(model, values) : await requestOf(model, values);
    const { output: folder } = values;
    const gridPath = values.grid ?? join(folder, 'grid.png');
    return withSampler(values.address, context.signal, async (client) => {
      const { terminal, signal } = context;
      const onEnd = ({ images, completed }: Generated): void => {
        if (completed === undefined && images > 0)
          terminal.print(`${formatCount(images)} images are in ${folder}`);
        if (completed === undefined && signal.aborted) {
          terminal.print(
            values.resumeEvery === undefined
              ? 'stopped; the same command draws all of them anew'
              : `stopped; ${USAGE} --resume --output ${folder} goes on with those begun`,
          );
        }
      };
      const paths = { folder, gridPath };
      const { completed, inPicture } = await generateImages(client, request, paths, context, onEnd);
      if (completed !== undefined) terminal.print(describeCompleted(completed));
      const picture = inPicture ? `, all in one picture: ${gridPath}` : '';
      terminal.print(`images and provenance.json in ${folder}${picture}`);
      return 0;
    });
  },
});

function telling(values: SampleValues): Partial<samplerWire.GenerateRequest> {
  const { previewEvery = 0, trajectoryEvery = 0, resumeEvery = 0 } = values;
  return {
    previewEverySteps: previewEvery,
    trajectoryEverySteps: trajectoryEvery,
    resumeTokenEverySteps: resumeEvery,
  };
}

async function resumingRequest(model: string, values: SampleValues): Promise<samplerWire.GenerateRequest> {
  if (model !== '') throw new UsageError('--resume takes no MODEL: its files say which', USAGE);
  const resumeTokens = await readTokens(values.output);
  return samplerWire.GenerateRequest.create({ resumeTokens, ...telling(values) });
}

async function requestOf(model: string, values: SampleValues): Promise<samplerWire.GenerateRequest> {
  if (model === '') throw new UsageError('missing MODEL: the name of a model', USAGE);
  const { seed, firstIndex, version, emaRate, classes = [], sampler, toSeed } = values;
  const start = values.from === undefined ? undefined : await readStart(values.from, values.skipSteps);
  const format = values.format ?? (sampler === 'ddim_encode' ? 'raw' : 'png');
  return {
    ...samplerWire.GenerateRequest.create(telling(values)),
    model,
    version,
    emaRate,
    count: values.count ?? (start === undefined ? DEFAULT_COUNT : start.images.length + start.latents.length),
    seed,
    firstIndex,
    settings: {
      ...samplerSettingsToWire(samplerSettingsOf(values, USAGE)),
      precision: precisions.write(values.precision),
    },
    format: imageFormats.write(format === 'raw' ? 'raw_float32' : format),
    classes,
    start,
    inpainting: await inpaintingOf(values),
    interpolation: toSeed === undefined ? undefined : { toSeed },
  };
}

async function inpaintingOf({ inpaint, mask }: SampleValues): Promise<samplerWire.Inpainting | undefined> {
  if (inpaint === undefined && mask === undefined) return undefined;
  if (inpaint === undefined || mask === undefined) {
    throw new UsageError('--inpaint and --mask go together', USAGE);
  }
  return { image: await readPicture(inpaint), mask: await readPicture(mask) };
}

/** How long it took. */
export function describeCompleted({ images, elapsed, imagesPerSecond }: samplerWire.Completed): string {
  const took = elapsed === undefined ? '' : ` in ${formatDuration(msFromDuration(elapsed))}`;
  return `${formatCount(images)} images${took} (${formatNumber(imagesPerSecond)} images/s)`;
}
