/** `measure`: what is measured of a model rather than trained or sampled. */

import type { Group } from '../command.js';
import { measureExposureCommand } from './measure-exposure.js';
import { measureLikelihoodCommand } from './measure-likelihood.js';

export const measure: Group = {
  name: 'measure',
  summary: 'measures a model: exposure bias, likelihood',
  commands: [measureExposureCommand, measureLikelihoodCommand],
};
