/** The run itself: how long, in which batches, what is kept and measured, and where it starts. */

import { field, optional, optionalSection, section } from '../../fields/index.js';
import { bool, integer, matching, oneOf, real, uint64 } from '../../foundation/index.js';
import { MAX_STEPS, NAME_PATTERN, PRECISIONS } from '../limits.js';

const steps = integer(0, MAX_STEPS);
const stepsFromOne = integer(1, MAX_STEPS);

export const training = section('the run', {
  steps: field(stepsFromOne, 'optimizer steps in all', { flag: 'steps', mayChange: true }),
  batchSize: field(integer(1, 4096), 'images of an optimizer step', { flag: 'batch-size' }),
  microbatchSize: field(
    integer(0, 4096),
    'images of a microbatch, whose gradients are averaged; a divisor of batch_size, or 0 for the whole batch',
    { default: 0 },
  ),
  seed: field(uint64, 'seed of every random number', { default: '0', flag: 'seed' }),
  checkpointEverySteps: field(stepsFromOne, 'optimizer steps between checkpoints', {
    default: 5000,
    mayChange: true,
  }),
  keepLast: field(integer(1, 1000), 'checkpoints that are kept', { default: 3, mayChange: true }),
  keepEverySteps: field(steps, 'keep also each checkpoint whose step is a multiple of this; 0 for none', {
    default: 0,
    mayChange: true,
  }),
  sampleEverySteps: field(steps, 'optimizer steps between sample grids; 0 for none', {
    default: 5000,
    mayChange: true,
  }),
  logEverySteps: field(stepsFromOne, 'optimizer steps between streamed metrics', {
    default: 10,
    mayChange: true,
  }),
  precision: field(oneOf(PRECISIONS), 'what convolutions and matrix products multiply; all else is float32', {
    default: 'float32',
    flag: 'precision',
  }),
  gradientCheckpointing: field(
    bool,
    'compute residual blocks again in the backward pass: less memory, more time',
    { default: false, flag: 'gradient-checkpointing' },
  ),
  labelDropout: field(real(0, 0.99), 'share of images whose class is left out, so that guidance works', {
    default: 0,
    flag: 'label-dropout',
  }),
});

export const warmStart = optionalSection(
  'where the weights of a new run come from, instead of random numbers',
  {
    model: field(
      matching(NAME_PATTERN, 'the name of a model', 'MODEL'),
      "a model in the trainer's store, with the same network",
    ),
    version: optional(stepsFromOne, 'the step of its checkpoint; the newest good one where it is unset'),
    emaRate: optional(
      real(0, 0.999999),
      'the rate of its EMA weights, or 0 for the raw weights; the largest rate where it is unset',
    ),
  },
);

// Presets hold images out; recipes from before there was evaluation trained on all of them.
export const evaluation = section('the error on images that are never trained on', {
  images: field(integer(0, 4096), 'images held out, at most a tenth of the data set; 0 for none', {
    default: 0,
  }),
  everySteps: field(steps, 'optimizer steps between evaluations; 0 for none', {
    default: 0,
    flag: 'evaluate-every',
    mayChange: true,
  }),
});
