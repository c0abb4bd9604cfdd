/** `measure quality`: how good images are, against other images. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { cacheFolder, shortened } from '../../../shared/foundation/index.js';
import { EXTRACTOR_NAMES, MEASURE_NAMES } from '../../../shared/quality/index.js';
import { fileAccess } from '../../../shared/store/index.js';
import { command } from '../command.js';
import { measureInChild } from '../measure/measure-in-child.js';
import { describeQuality, STATISTICS_FILE, writeQuality } from '../measure/quality-report.js';
import { oneOf, option, repeated, text, uint64 } from '../options.js';

const IMAGES =
  'an .npz file (arr_0: uint8 [N, H, W, 3]; or mu, sigma, mu_s and sigma_s), or a folder of images';
const MAX_NAME = 40;

export const measureQualityCommand = command({
  name: 'quality',
  summary: 'compares images with a reference: Frechet and kernel distances, precision, recall and others',
  positionals: [
    { name: 'SAMPLES', help: IMAGES },
    { name: 'REFERENCE', help: 'the same; images of the same size' },
  ],
  options: {
    extractor: option(
      text(`PATH|${EXTRACTOR_NAMES.join('|')}`),
      'what turns images into features: a frozen graph with the node names of classify_image_graph_def.pb, or a name',
      { fallback: 'pixels' },
    ),
    measure: repeated(oneOf(MEASURE_NAMES), 'only this one; may be given several times'),
    seed: option(uint64, 'the subsets of the kernel distance are drawn from it', { fallback: 0n }),
    out: option(text('DIR'), `a folder for quality.json, quality.csv and ${STATISTICS_FILE}`),
  },
  examples: [
    {
      arguments: 'samples.npz cifar10.npz --extractor classify_image_graph_def.pb',
      does: "FID, sFID, Inception Score, precision and recall, as the reference's evaluator has them",
    },
    {
      arguments: 'flowers-samples flowers-16 --extractor dct',
      does: 'distances for images of 8 to 32 pixels',
    },
  ],
  notes: [
    'Features are kept in the cache, so that a set is extracted once. Published figures are of 50,000 samples; figures of\nfewer are larger, and compare only with figures of as many.',
  ],
  run: async ({ options, positionals: [samples = '', reference = ''] }, context) => {
    const { terminal, settings, clock, signal } = context;
    const { environment } = settings;
    const { extractor, measure, seed, out } = options;
    if (out !== undefined) await mkdir(out, { recursive: true });
    const request = {
      ...{ samples, reference, extractor, seed },
      measures: measure.length === 0 ? undefined : measure,
      cacheFolder: cacheFolder(environment),
      access: fileAccess(environment),
      statisticsPath: out === undefined ? undefined : join(out, STATISTICS_FILE),
    };
    const progress = terminal.progress();
    const result = await measureInChild(request, {
      ...{ environment, clock, signal },
      onProgress: ({ stage, share }) => {
        progress.update({ label: shortened(stage, MAX_NAME), share, facts: [] });
      },
    }).finally(progress.end);
    terminal.emit(result);
    for (const line of describeQuality(result)) terminal.print(line);
    if (out !== undefined) for (const path of await writeQuality(out, result)) terminal.print(path);
    return 0;
  },
});
