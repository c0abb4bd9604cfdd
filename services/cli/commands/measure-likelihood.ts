/** `measure likelihood`: bits per dimension of images under a model. */

import { DEFAULT_IMAGES } from '../../../shared/measuring/index.js';
import { command } from '../command.js';
import { measuredWith, measureOptions } from '../measure/measure-options.js';
import { measureModel } from '../measure/measure-model.js';
import { integer, option } from '../options.js';
import { MAX_STEPS } from '../sampler-options.js';

export const measureLikelihoodCommand = command({
  name: 'likelihood',
  summary: 'measures bits per dimension of images by the full VLB, with its terms by timestep',
  positionals: [{ name: 'MODEL', help: 'the name of a model in the store' }],
  options: {
    images: option(
      integer(1, 1_000_000),
      `images; each takes an evaluation of the network for every step. ${DEFAULT_IMAGES.likelihood} when not given, or all of the data`,
    ),
    steps: option(integer(2, MAX_STEPS), 'steps of the bound; those of the training when not given'),
    ...measureOptions,
  },
  examples: [
    { arguments: 'MODEL --data held-out --images 256 --out likelihood', does: 'with a report' },
    { arguments: 'MODEL --steps 100', does: 'the bound of a process with 100 steps: faster, and less tight' },
  ],
  run: ({ options: values, positionals: [model = ''] }, context) => {
    const { images, steps } = values;
    const task = { kind: 'likelihood' as const, ...(steps !== undefined && { steps }) };
    return measureModel(
      task,
      measuredWith(model, images, values),
      { title: `Likelihood under ${model}`, ...values },
      context,
    );
  },
});
