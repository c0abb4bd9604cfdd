/** Which checkpoint of a model, and which of its weights: the flags. */

import { integer, option, weights } from './options.js';

const MAX_STEP = 1_000_000_000;

export const checkpointOptions = {
  checkpoint: option(integer(0, MAX_STEP), 'the step of a checkpoint; the newest when not given'),
  weights: option(weights, 'raw weights, or EMA weights of this rate; the largest rate when not given'),
};
