/** The run itself: how long, in which batches, what is kept and measured, and where it starts. */

import { field, optional, optionalSection, section } from '../../fields/index.js';
import { bool, integer, matching, oneOf, real, uint64 } from '../../foundation/index.js';
import { MAX_STEPS, NAME_PATTERN, PRECISIONS } from '../limits.js';
import { weightsChoice } from '../weights-choice.js';

const steps = integer(0, MAX_STEPS);
const stepsFromOne = integer(1, MAX_STEPS);

export const training = section('the run', {
  steps: field(stepsFromOne, 'number of optimizer steps', { flag: 'steps', mayChange: true }),
  batchSize: field(integer(1, 4096), 'images in each optimizer step', { flag: 'batch-size' }),
  microbatchSize: field(
    integer(0, 4096),
    "images in a microbatch; the gradients of a step's microbatches are averaged; a divisor of batch_size, or 0 for the whole batch",
    { default: 0 },
  ),
  seed: field(uint64, 'seed of every random number', { default: '0', flag: 'seed' }),
  checkpointEverySteps: field(stepsFromOne, 'optimizer steps between checkpoints', {
    default: 5000,
    mayChange: true,
  }),
  keepLast: field(integer(1, 1000), 'how many of the newest checkpoints are kept', {
    default: 3,
    mayChange: true,
  }),
  keepEverySteps: field(steps, 'also keep each checkpoint whose step is a multiple of this; 0 for none', {
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
  precision: field(
    oneOf(PRECISIONS),
    'number format in which convolutions and matrix products multiply; everything else is float32',
    {
      default: 'float32',
      flag: 'precision',
    },
  ),
  gradientCheckpointing: field(
    bool,
    'compute residual blocks again in the backward pass: less memory, more time',
    { default: false, flag: 'gradient-checkpointing' },
  ),
  labelDropout: field(
    real(0, 0.99),
    'share of images that are trained without their class; guidance needs it',
    {
      default: 0,
      flag: 'label-dropout',
    },
  ),
});

export const warmStart = optionalSection(
  'a checkpoint whose weights a new run starts from, instead of random ones',
  {
    model: field(
      matching(NAME_PATTERN, 'the name of a model', 'MODEL'),
      "a model in the trainer's store, with the same network",
    ),
    checkpointStep: optional(steps, 'the step of its checkpoint; if unset, the newest that can be read'),
    weights: optional(
      weightsChoice,
      'its raw weights, or the EMA weights of a rate; if unset, the EMA weights of the largest rate',
    ),
  },
);

// Presets hold images out; recipes from before there was evaluation trained on all of them.
export const evaluation = section('the error on held-out images, which are never trained on', {
  images: field(integer(0, 4096), 'images held out, at most a tenth of the data set; 0 for none', {
    default: 0,
  }),
  everySteps: field(steps, 'optimizer steps between evaluations; 0 for none', {
    default: 0,
    flag: 'evaluate-every',
    mayChange: true,
  }),
});
