/** `sample`: samples images from a model into files. */

import { join } from 'node:path';

import {
  imageFormats,
  msFromDuration,
  precisions,
  priorities,
  samplerSettingsToWire,
  samplerWire,
  weightsToWire,
} from '../../../shared/contract/index.js';
import { DEFAULT_STEPS } from '../../../shared/sampler/index.js';
import { checkpointOptions } from '../checkpoint-options.js';
import { command, type Context } from '../command.js';
import { samplerConnection, withSampler, type SamplerClient } from '../connect.js';
import { formatCount, formatDuration, formatNumber } from '../format.js';
import { generateImages, type Generated } from '../generate-images.js';
import { flag, integer, integers, oneOf, option, text, uint64, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { readPicture, readStart } from '../picture-files.js';
import { readResumable } from '../resume-files.js';
import { MAX_STEPS, samplerOptions, samplerPriority, samplerSettingsOf } from '../sampler-options.js';

const DEFAULT_COUNT = 64;
const MAX_UINT32 = 2 ** 32 - 1;
const USAGE = 'ip-diffusion sample';

const options = {
  count: option(
    integer(1, MAX_UINT32),
    `number of images; when not given, the number of --from, else ${DEFAULT_COUNT}`,
  ),
  ...samplerOptions,
  seed: option(uint64, 'seed of the noise', { fallback: 0n }),
  toSeed: option(uint64, "interpolate from the seed's image to this seed's"),
  firstIndex: option(
    integer(0, MAX_UINT32),
    'index of the first image; a higher one continues where an earlier call ended',
    { fallback: 0 },
  ),
  classes: option(integers, 'class of a class-conditional model: one for all images, or one for each'),
  ...checkpointOptions,
  from: option(text('PATH'), 'start from this picture, or those of this folder, or .f32 files of `encode`'),
  skipSteps: option(
    integer(0, MAX_STEPS),
    'with --from: the number of first steps to skip; with more, more of the picture remains',
    { fallback: 0 },
  ),
  inpaint: option(text('FILE'), 'fill in a part of this picture; needs --mask'),
  mask: option(text('FILE'), 'with --inpaint: white where the model fills in'),
  format: option(oneOf(['png', 'webp', 'raw']), 'format of the files; raw is float32', { fallback: 'png' }),
  output: option(text('DIR'), 'folder for the images and provenance.json', { fallback: 'samples' }),
  grid: option(
    text('FILE'),
    'file for a picture of all images; grid.png in the output folder when not given',
  ),
  previewEvery: option(integer(1, MAX_STEPS), "also save each image's predicted x_0 every N steps"),
  trajectoryEvery: option(integer(1, MAX_STEPS), "also save each image's x_t every N steps, as raw float32"),
  resumeEvery: option(
    integer(1, MAX_STEPS),
    'save a resume token of each unfinished image every N steps, for --resume',
  ),
  resume: flag('resume the unfinished images of the output folder'),
  priority: samplerPriority,
  ...samplerConnection,
};

type SampleValues = Values<typeof options>;

export const sample = command({
  name: 'sample',
  summary: 'samples images from a model into files',
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
    { arguments: 'MODEL --epsilon-scaling 1.005', does: 'with a remedy against exposure bias' },
    { arguments: 'MODEL --count 64 --first-index 64', does: 'the next 64 of the same seed' },
    { arguments: 'MODEL --from photos --skip-steps 25', does: 'image to image' },
    {
      arguments: 'MODEL --checkpoint 5000 --weights raw --respacing ddim50',
      does: 'an older checkpoint, its raw weights',
    },
  ],
  notes: [
    'An image depends on the checkpoint, the settings, the seed and its index only: the same call gives the same files.',
  ],
  run: async ({ options: values, positionals: [model = ''] }, context) => {
    const requests = values.resume
      ? await resumedRequests(model, values)
      : [{ newImages: await newImagesOf(model, values), resumed: undefined }];
    return withSampler(values, context.signal, async (client) => {
      for (const request of requests) await run(client, request, values, context);
      return 0;
    });
  },
});

interface SampleCall {
  readonly newImages: samplerWire.NewImages;
  readonly resumed: samplerWire.ResumedImages | undefined;
}

async function resumedRequests(model: string, values: SampleValues): Promise<SampleCall[]> {
  if (model !== '') throw new UsageError('--resume takes no MODEL: the saved request names it', USAGE);
  const found = await readResumable(values.output);
  return found.map((resumed) => ({
    newImages: resumed.request ?? samplerWire.NewImages.create(),
    resumed,
  }));
}

async function run(
  client: SamplerClient,
  { newImages, resumed }: SampleCall,
  values: SampleValues,
  context: Context,
): Promise<void> {
  const { output: folder, previewEvery = 0, trajectoryEvery = 0, resumeEvery = 0 } = values;
  const { terminal, signal } = context;
  const request: samplerWire.GenerateRequest = {
    images:
      resumed === undefined
        ? { $case: 'newImages', value: newImages }
        : { $case: 'resumedImages', value: resumed },
    previewEverySteps: previewEvery,
    trajectoryEverySteps: trajectoryEvery,
    resumeTokenEverySteps: resumeEvery,
    priority: priorities.write(values.priority),
  };
  const onEnd = ({ images, completed }: Generated): void => {
    if (completed === undefined && images > 0)
      terminal.print(`${formatCount(images)} images are in ${folder}`);
    if (completed === undefined && signal.aborted) {
      terminal.print(
        resumeEvery === 0
          ? 'stopped; the same command samples all of them again'
          : `stopped; to resume the unfinished images: ${USAGE} --resume --output ${folder}`,
      );
    }
  };
  const gridPath = values.grid ?? join(folder, 'grid.png');
  const paths = { folder, gridPath, request: newImages };
  const { completed, inPicture } = await generateImages(client, request, paths, context, onEnd);
  if (completed !== undefined) terminal.print(describeCompleted(completed));
  const picture = inPicture ? `, all in one picture: ${gridPath}` : '';
  terminal.print(`images and provenance.json in ${folder}${picture}`);
}

async function newImagesOf(model: string, values: SampleValues): Promise<samplerWire.NewImages> {
  if (model === '') throw new UsageError('missing MODEL: the name of a model', USAGE);
  const { seed, firstIndex, checkpoint, weights, classes = [], toSeed } = values;
  const start = await startOf(values);
  return {
    model,
    checkpointStep: checkpoint,
    weights: weights === undefined ? undefined : weightsToWire(weights),
    count: values.count ?? (start === undefined ? DEFAULT_COUNT : startsOf(start)),
    seed,
    firstIndex,
    settings: {
      ...samplerSettingsToWire(samplerSettingsOf(values, USAGE)),
      precision: precisions.write(values.precision),
    },
    format: imageFormats.write(values.format === 'raw' ? 'raw_float32' : values.format),
    classes,
    start,
    inpainting: await inpaintingOf(values),
    interpolation: toSeed === undefined ? undefined : { toSeed },
  };
}

type Start = NonNullable<samplerWire.NewImages['start']>;

async function startOf({ from, skipSteps }: SampleValues): Promise<Start | undefined> {
  if (from === undefined) {
    if (skipSteps > 0) throw new UsageError('--skip-steps needs --from', USAGE);
    return undefined;
  }
  const { kind, contents } = await readStart(from);
  if (kind === 'pictures') {
    return { $case: 'startImages', value: { images: contents, skippedSteps: skipSteps } };
  }
  if (skipSteps > 0) throw new UsageError('--skip-steps goes with pictures, not with .f32 files', USAGE);
  return { $case: 'startLatents', value: { latents: contents } };
}

function startsOf(start: Start): number {
  return start.$case === 'startImages' ? start.value.images.length : start.value.latents.length;
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
