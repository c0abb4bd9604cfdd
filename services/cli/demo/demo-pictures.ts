/** The demo's pictures besides the samples: what the model learns from, and how its loss falls. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { holdOut, openDataset } from '../../../shared/dataset/index.js';
import { fileAccess } from '../../../shared/store/index.js';
import { deriveKey, permutation } from '../../../shared/random/index.js';
import { chartPng } from '../../../shared/charts/index.js';
import { resolveRecipe } from '../../../shared/recipe/index.js';
import type { Context } from '../command.js';
import { formatCount } from '../format.js';
import { gridOf } from '../image-files.js';
import { readMetricsCsv } from '../metrics-csv.js';
import { cacheFolder } from './demo-services.js';
import type { DemoPlan } from './demo-plan.js';
import { lossChart } from './loss-chart.js';
import { metricsPath } from './demo-training.js';

export interface ImageCounts {
  readonly training: number;
  readonly heldOut: number;
}

/**
 * Prepares the images, where the trainer finds them too, and shows some of those that are trained on.
 * @throws DiffusionError as `openDataset` does.
 */
export async function saveTrainingImages(
  plan: DemoPlan,
  count: number,
  { terminal, signal, settings }: Context,
): Promise<ImageCounts> {
  const { imageSize, source } = plan;
  const progress = terminal.progress();
  const dataset = await openDataset(
    { source, imageSize, channels: 3 },
    {
      access: fileAccess(settings.environment),
      cacheFolder: cacheFolder(plan.dataFolder),
      memoryBudgetBytes: 0,
      signal,
      onProgress: ({ done, total }) => {
        const of = total === undefined ? '' : ` of ${formatCount(total)}`;
        const facts = [`${formatCount(done)}${of}`];
        const share = total === undefined ? {} : { share: done / total };
        progress.update({ label: 'preparing images', ...share, facts });
      },
    },
  ).finally(() => {
    progress.end();
  });
  try {
    const { evaluation } = resolveRecipe(plan.recipe, plan.model);
    const { training, heldOut } = holdOut(dataset, evaluation.images);
    const order = permutation(deriveKey(0n, 'demo training images'), [0], training.length);
    const shown = await Promise.all(Array.from(order.subarray(0, count), (index) => training.read([index])));
    await mkdir(plan.outputFolder, { recursive: true });
    await writeFile(join(plan.outputFolder, 'training-images.png'), await gridOf(shown, imageSize, 3));
    return { training: training.length, heldOut: heldOut.length };
  } finally {
    await dataset.close();
  }
}

/** The losses of all optimizer steps so far. */
export async function saveLossChart(plan: DemoPlan, jobId: string): Promise<void> {
  const rows = await readMetricsCsv(metricsPath(plan), jobId);
  const chart = await chartPng(lossChart(plan.model, rows));
  await writeFile(join(plan.outputFolder, 'loss.png'), chart);
}
