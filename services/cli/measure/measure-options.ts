/** The flags that all measuring commands share. */

import { FILE_KINDS } from '../../../shared/dataset/index.js';
import { PRECISIONS } from '../../../shared/recipe/index.js';
import { checkpointOptions } from '../checkpoint-options.js';
import { storeOption } from '../convert/open-store.js';
import { connectionOptions } from '../connect.js';
import { address, flag, oneOf, option, text, uint64, type Values } from '../options.js';
import type { MeasuredWith } from './run-measuring.js';

/** Of a measurement that a service makes. */
export const serverOptions = {
  server: option(
    address,
    'measure in the sampler at this address, as its machine sees the images, instead of in a process of this command',
  ),
  detach: flag("with --server: don't wait for the result; `measure watch` does later"),
  ...connectionOptions,
};

export const measureOptions = {
  data: option(
    text('DIR|FILE|s3://BUCKET/PREFIX'),
    "real images; when not given, those of the model's recipe",
  ),
  dataKind: option(oneOf(FILE_KINDS), 'the kind of --data where its name does not show it'),
  seed: option(uint64, 'seed of images, noise and resamples', { fallback: 0n }),
  precision: option(oneOf(PRECISIONS), 'the numbers that the network computes with', { fallback: 'float32' }),
  ...checkpointOptions,
  out: option(text('DIR'), 'folder for results.json, results.csv, report.html and pictures (SVG, PNG)'),
  store: storeOption,
  ...serverOptions,
};

export function measuredWith(
  model: string,
  /** Undefined for the default. */
  images: number | undefined,
  {
    checkpoint,
    weights,
    precision,
    data,
    dataKind,
    store,
    seed,
  }: Omit<Values<typeof measureOptions>, 'out' | keyof typeof serverOptions>,
): MeasuredWith {
  return { model, images: images ?? 0, checkpoint, weights, precision, data, dataKind, store, seed };
}
