/** AdamW, its learning rate, and the EMA weights. */

import { field, section } from '../../fields/index.js';
import { bool, integer, list, oneOf, positive, real } from '../../foundation/index.js';
import { MAX_STEPS } from '../limits.js';

export const optimizer = section('AdamW', {
  learningRate: field(positive(1), 'learning rate', { default: 1e-4, mayChange: true }),
  weightDecay: field(real(0, 1), "decoupled weight decay (ADM-WD's)", { default: 0, flag: 'weight-decay' }),
  beta1: field(real(0, 0.999999), "decay of the gradient's moving average", { default: 0.9 }),
  beta2: field(real(0, 0.999999), "decay of the squared gradient's moving average", { default: 0.999 }),
  epsilon: field(positive(0.1), "added to the square root of the squared gradient's moving average", {
    default: 1e-8,
  }),
  annealSteps: field(
    integer(0, MAX_STEPS),
    'optimizer steps over which the learning rate falls to 0; 0 for a constant rate',
    { default: 0, mayChange: true },
  ),
  schedule: field(oneOf(['linear', 'cosine']), 'how the learning rate falls over anneal_steps', {
    default: 'linear',
    mayChange: true,
  }),
  warmUpSteps: field(
    integer(0, MAX_STEPS),
    'optimizer steps over which the learning rate first rises to its value; 0 for none',
    { default: 0, mayChange: true },
  ),
  l2Penalty: field(
    real(0, 1),
    'L2 penalty in the loss, l2_penalty times the squared norm of all parameters; Adam scales its gradient, unlike that of weight_decay',
    { default: 0 },
  ),
});

export const ema = section('the EMA weights', {
  rates: field(list(real(0.000001, 0.999999), 1, 8), 'a rate for each set of EMA weights, no two the same', {
    default: [0.9999],
  }),
  warmUp: field(bool, 'use min(rate, (1 + n) / (10 + n)) after n optimizer steps, for short runs', {
    default: false,
  }),
});
