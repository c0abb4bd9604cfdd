/** `measure quality`: how good images are, against other images. */

import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { cacheFolder, shortened } from '../../../shared/foundation/index.js';
import { DEFAULT_IMAGES } from '../../../shared/measuring/index.js';
import { EXTRACTOR_NAMES, MEASURE_NAMES } from '../../../shared/quality/index.js';
import { fileAccess } from '../../../shared/store/index.js';
import { checkpointOptions } from '../checkpoint-options.js';
import { command, type Context, type ExitCode } from '../command.js';
import { measureInChild } from '../measure/measure-in-child.js';
import { onServer, refuseDetach } from '../measure/measure-model.js';
import { serverOptions } from '../measure/measure-options.js';
import { describeQuality, measuredQuality, STATISTICS_FILE } from '../measure/quality-report.js';
import { stageProgress } from '../measure/stage-progress.js';
import { writeResults } from '../measure/write-results.js';
import { integer, oneOf, option, repeated, text, uint64, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { samplerOptions, samplerSettingsOf } from '../sampler-options.js';

const USAGE = 'ip-diffusion measure quality';
const IMAGES =
  'an .npz file (arr_0: uint8 [N, H, W, 3]; or mu, sigma, mu_s and sigma_s), or a folder of images';
const MAX_NAME = 40;
const options = {
  extractor: option(
    text(`PATH|${EXTRACTOR_NAMES.join('|')}`),
    'what turns images into features: a frozen graph with the node names of classify_image_graph_def.pb, or a name',
    { fallback: 'pixels' },
  ),
  measure: repeated(oneOf(MEASURE_NAMES), 'only this measure; may be given several times'),
  seed: option(uint64, 'the subsets of the kernel distance, and what is sampled, are drawn from it', {
    fallback: 0n,
  }),
  out: option(
    text('DIR'),
    `folder for results.json, results.csv, report.html, pictures (SVG, PNG) and ${STATISTICS_FILE}`,
  ),
  ...serverOptions,
  images: option(
    integer(2, 1_000_000),
    `with --server: images that are sampled; ${DEFAULT_IMAGES.quality} when not given`,
  ),
  ...checkpointOptions,
  ...samplerOptions,
};

type QualityValues = Values<typeof options>;

export const measureQualityCommand = command({
  name: 'quality',
  summary: 'compares images with a reference: Frechet and kernel distances, precision, recall and others',
  positionals: [
    { name: 'SAMPLES', help: `${IMAGES}; with --server, a model, whose images the sampler makes` },
    {
      name: 'REFERENCE',
      help: "the same; images of the same size. With --server it may be left out: the data set of the model's recipe",
      optional: true,
    },
  ],
  options,
  examples: [
    {
      arguments: 'samples.npz cifar10.npz --extractor classify_image_graph_def.pb',
      does: "FID, sFID, Inception Score, precision and recall, as the reference's evaluator has them",
    },
    {
      arguments: 'flowers-samples flowers-16 --extractor dct',
      does: 'distances for images of 8 to 32 pixels',
    },
    {
      arguments: 'MODEL --server 127.0.0.1:50062 --images 5000 --steps 20',
      does: 'the sampler samples 5,000 images and compares them with the training images',
    },
  ],
  notes: [
    'Features are kept in the cache, so that a set is extracted once. Published figures are of 50,000 samples; figures of\nfewer are larger, and compare only with figures of as many.',
  ],
  run: ({ options: values, positionals: [samples = '', reference = ''] }, context) =>
    values.server === undefined
      ? qualityOfFiles(samples, reference, values, context)
      : qualityOfModel(samples, reference, values, context),
});

async function qualityOfFiles(
  samples: string,
  reference: string,
  values: QualityValues,
  context: Context,
): Promise<ExitCode> {
  const { terminal, settings, clock, signal } = context;
  const { environment } = settings;
  const { extractor, measure, seed, out } = values;
  if (reference === '') throw new UsageError('missing REFERENCE: the images to compare with', USAGE);
  refuseDetach(values, USAGE);
  for (const name of ['images', 'steps', 'checkpoint', 'weights'] as const)
    if (values[name] !== undefined) throw new UsageError(`--${name} needs --server`, USAGE);
  if (out !== undefined) await mkdir(out, { recursive: true });
  const request = {
    ...{ samples, reference, extractor, seed },
    measures: measure.length === 0 ? undefined : measure,
    cacheFolder: cacheFolder(environment),
    access: fileAccess(environment),
    statisticsPath: out === undefined ? undefined : join(out, STATISTICS_FILE),
  };
  const beganMs = clock.monotonicMs();
  const progress = stageProgress(context);
  const result = await measureInChild(request, {
    ...{ environment, clock, signal },
    onProgress: ({ stage, share }) => {
      progress.update(shortened(stage, MAX_NAME), share);
    },
  }).finally(progress.end);
  terminal.emit({ ...result, pictures: undefined });
  for (const line of describeQuality(result)) terminal.print(line);
  if (out !== undefined) {
    const measured = measuredQuality(result, (clock.monotonicMs() - beganMs) / 1000);
    terminal.print(`written: ${await writeResults(`Quality of ${samples}`, out, measured)}`);
  }
  return 0;
}

function qualityOfModel(
  model: string,
  reference: string,
  values: QualityValues,
  context: Context,
): Promise<ExitCode> {
  const { extractor, measure, seed, images = 0, checkpoint, weights, precision } = values;
  const task = {
    kind: 'quality' as const,
    sampler: samplerSettingsOf(values, USAGE),
    extractor: EXTRACTOR_NAMES.includes(extractor) ? extractor : resolve(extractor),
    ...(measure.length > 0 && { measures: measure }),
  };
  const asked = {
    ...{ model, images, seed, checkpoint, weights, precision, store: undefined, dataKind: undefined },
    data: reference === '' ? undefined : reference,
  };
  return onServer(task, asked, { title: `Quality of ${model}`, ...values }, context);
}
