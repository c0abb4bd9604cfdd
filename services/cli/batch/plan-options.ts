/** The flags that say what a batch is. */

import {
  DEFAULT_SHARD_SIZE,
  FORMAT_NAMES,
  formatHelp,
  MAX_SHARD_SIZE,
  type AskedBatch,
} from '../../../shared/batch/index.js';
import { precisions, samplerSettingsToWire } from '../../../shared/contract/index.js';
import type { Parser } from '../../../shared/foundation/index.js';
import { checkpointOptions } from '../checkpoint-options.js';
import { integer, integers, oneOf, option, uint64, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { samplerOptions, samplerSettingsOf } from '../sampler-options.js';

const MAX_IMAGES = 2 ** 32 - 1;

/** Either word or numbers. */
const classes: Parser<'all' | readonly number[]> = {
  placeholder: 'all|N,N,...',
  wanted: `all, or ${integers.wanted}`,
  read: (value) => (value === 'all' ? 'all' : integers.read(value)),
};

/** What is made. */
export const planOptions = {
  count: option(integer(1, MAX_IMAGES), 'number of images'),
  ...samplerOptions,
  seed: option(uint64, 'seed of the noise', { fallback: 0n }),
  firstIndex: option(integer(0, MAX_IMAGES), 'index of the first image', { fallback: 0 }),
  classes: option(
    classes,
    'classes of a class-conditional model, which the images take in turn; all for all of its classes',
  ),
  ...checkpointOptions,
  shardSize: option(integer(1, MAX_SHARD_SIZE), 'images of a shard', { fallback: DEFAULT_SHARD_SIZE }),
  format: option(oneOf(FORMAT_NAMES), `what a shard is: ${formatHelp}`, { fallback: 'webdataset' }),
};

type PlanValues = Values<typeof planOptions>;

/** @throws UsageError for flags that exclude each other, or without a count. */
export function askedBatch(model: string, values: PlanValues, usage: string): AskedBatch {
  const {
    count,
    seed,
    firstIndex,
    weights,
    shardSize,
    format,
    checkpoint: checkpointStep,
    classes = [],
  } = values;
  if (count === undefined) throw new UsageError('missing --count: the number of images', usage);
  return {
    ...{ model, checkpointStep, weights, count, seed, firstIndex, shardSize, format, classes },
    settings: {
      ...samplerSettingsToWire(samplerSettingsOf(values, usage)),
      precision: precisions.write(values.precision),
    },
  };
}
