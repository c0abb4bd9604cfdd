/** The texts of the demo before it begins and after it is done. */

import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { addressOf } from '../../../shared/dataset/index.js';
import { hasScheme } from '../../../shared/store/index.js';
import { formatCount, formatDuration, table } from '../format.js';
import type { ImageCounts } from './demo-pictures.js';
import type { DemoPlan } from './demo-plan.js';
import { storeFolder } from './demo-services.js';
import { gridFolder, type Trained } from './demo-training.js';

export function introduce(
  { source, imageSize, trainMs }: DemoPlan,
  { training, heldOut }: ImageCounts,
): string {
  const images = addressOf(source) ?? 'the Twemoji graphics, CC-BY 4.0';
  const apart =
    heldOut === 0
      ? ''
      : `; ${formatCount(heldOut)} more ${heldOut === 1 ? 'is' : 'are'} held out for evaluation`;
  return `training on ${formatCount(training)} images of ${imageSize}x${imageSize} (${images}${apart}) for ${formatDuration(trainMs)}`;
}

/** What was done, where the pictures are, and commands to continue with. */
export async function report(plan: DemoPlan, { job, trainedMs }: Trained, tookMs: number): Promise<string[]> {
  const { outputFolder, dataFolder, model } = plan;
  const seen = formatCount(job.latestMetrics?.samplesSeen ?? 0n);
  const grids = await readdir(gridFolder(plan)).catch(() => []);
  const pictures = [
    ['samples.png', 'samples of the model (one by one in samples/)'],
    ['training-images.png', 'some of the images that it was trained on'],
    ['loss.png', 'how the error fell (the metrics are in metrics.csv)'],
    ...(grids.length === 0 ? [] : [['grids', 'samples during training']]),
  ];
  return [
    `done in ${formatDuration(tookMs)}: ${formatCount(job.step)} steps in ${formatDuration(trainedMs)} of training, ${seen} images seen`,
    ...table(pictures.map(([name = '', what = '']) => [`  ${join(outputFolder, name)}`, what])),
    '',
    'what next',
    ...table([
      ['  train it further', `npm run demo -- ${flagsFor(plan)}`],
      ['  your own images', 'npm run demo -- --images DIR --minutes 20'],
      ['  run the services', `npx ip-diffusion serve --store ${storeFolder(dataFolder)}`],
      ['  and sample from them', `npx ip-diffusion sample ${model} --steps 20`],
    ]),
  ];
}

/** The flags that train the same model for four times as long. */
function flagsFor({ source, imageSize, minutes }: DemoPlan): string {
  const images = addressOf(source);
  return [
    ...(images === undefined ? [] : [`--images ${hasScheme(images) ? images : relative('', images)}`]),
    ...(imageSize === 32 ? [] : [`--image-size ${imageSize}`]),
    `--minutes ${Math.ceil(minutes * 4)}`,
  ].join(' ');
}
