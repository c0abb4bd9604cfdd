/** What a demo is to do. */

import { basename } from 'node:path';

import { describeSource, sourceAt, type DatasetSource } from '../../../shared/dataset/index.js';
import type { PartialRecipe } from '../../../shared/recipe/index.js';

export interface DemoPlan {
  readonly model: string;
  readonly source: DatasetSource;
  readonly imageSize: number;
  /** As asked for. */
  readonly minutes: number;
  readonly recipe: PartialRecipe;
  /** How long the model is to be trained in all, over every run of the demo. */
  readonly trainMs: number;
  /** The folder for the store, the logs and the state of the demo. */
  readonly dataFolder: string;
  /** The folder for the pictures. */
  readonly outputFolder: string;
}

/** The share of the time that training gets; starting, preparing images and sampling take the rest. */
const TRAINING_SHARE = 0.8;
/** The demo ends training by the clock; this many steps are never reached. */
const STEPS = 1_000_000;

export interface DemoChoices {
  readonly minutes: number;
  readonly images: string | undefined;
  readonly imageSize: number;
  readonly output: string;
}

/** The model's name follows from the images, so that each set of images and each size is trained on its own. */
export function demoPlan({ minutes, images, imageSize, output }: DemoChoices, dataFolder: string): DemoPlan {
  const source: DatasetSource =
    images === undefined ? { kind: 'twemoji' } : sourceAt(images, { classes: false });
  const model = `demo-${slugOf(describeSource(source))}-${imageSize}`;
  return {
    model,
    source,
    imageSize,
    minutes,
    recipe: {
      name: model,
      preset: 'demo-32',
      dataset: { imageSize, source },
      // At the lowest of the preset's three resolutions.
      architecture: { attentionResolutions: [imageSize / 4] },
      training: { steps: STEPS },
    },
    trainMs: minutes * 60_000 * TRAINING_SHARE,
    dataFolder,
    outputFolder: output,
  };
}

function slugOf(images: string): string {
  const slug = basename(images)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return slug === '' ? 'images' : slug.slice(0, 40);
}
