/** Exposure bias of a recipe's network, on the images of a data set. */

import type { Dataset } from '../dataset/index.js';
import { measureExposure, type MeasureResult } from '../exposure/index.js';
import type { TrainingRecipe } from '../recipe/index.js';
import type { Predict } from '../sampler/index.js';
import { measuredImages } from './measured-images.js';
import { contractOf } from './network.js';
import { IMAGES_IN_WORK, type ExposureTask, type MeasuringOptions } from './task.js';

/** @param predict The network's output for a row. @throws as `measureExposure`. */
export async function exposureOf(
  recipe: TrainingRecipe,
  predict: Predict,
  { sampler, measures, settings, resamples }: ExposureTask,
  dataset: Dataset,
  { images, seed, signal, onProgress }: MeasuringOptions,
): Promise<MeasureResult[]> {
  const { label, ...data } = measuredImages(dataset, seed);
  return measureExposure({
    model: { contract: contractOf(recipe), imageSize: recipe.dataset.imageSize, predict },
    data: { ...data, ...(recipe.architecture.numClasses > 0 && label && { label }) },
    ...{ sampler, images, seed, width: IMAGES_IN_WORK, pictures: true },
    ...(measures !== undefined && { measures }),
    ...(settings !== undefined && { settings }),
    ...(resamples !== undefined && { resamples }),
    ...(signal !== undefined && { signal }),
    onProgress: (progress) => {
      onProgress(progress.measures.join(', '), progress.done, progress.total);
    },
  });
}
