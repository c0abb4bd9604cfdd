/** Which checkpoint of a model, and which of its weights: the flags. */

import { MAX_STEPS } from '../../shared/recipe/index.js';
import { integer, option, weights } from './options.js';

export const checkpointOptions = {
  checkpoint: option(integer(0, MAX_STEPS), 'the step of a checkpoint; the newest when not given'),
  weights: option(weights, 'raw weights, or EMA weights of this rate; the largest rate when not given'),
};
