/** Noise, the perturbation of the input, and what the network learns. */

import { field, optional, section } from '../../fields/index.js';
import { bool, integer, list, matching, oneOf, positive, real } from '../../foundation/index.js';
import { MEAN_TYPES } from '../../noise/index.js';
import { MAX_STEPS } from '../limits.js';

export const noiseSchedule = section('the noise schedule: betas of T timesteps', {
  name: field(oneOf(['linear', 'cosine', 'custom']), 'the family of schedules; custom takes the betas', {
    default: 'cosine',
  }),
  timesteps: field(integer(1, 10_000), 'T; the number of betas with custom', { default: 1000 }),
  betas: optional(
    list(positive(1), 1, 10_000),
    'the betas of custom: a number for each timestep, none smaller than the one before it',
  ),
  respacing: field(
    matching(
      /^(?:ddim\d{1,5}|[\d, ]{0,256})$/,
      'counts separated by commas, "ddim" and a count, or nothing',
      'GRAMMAR',
    ),
    'the timesteps to train on, written as for sampling: "250", "10,15,20" or "ddim50"',
    { default: '' },
  ),
});

export const inputPerturbation = section('the perturbation of the input in training (arXiv 2301.11706)', {
  gamma: field(real(0, 1), 'strength of the input perturbation; 0 for none', {
    default: 0.1,
    flag: 'gamma',
  }),
  schedule: field(
    oneOf(['constant', 'decay', 'timestep', 'random', 'log_noise']),
    "constant; decay, to 0 over decay_steps; timestep, from a tenth of gamma at t = 0 to all of it at T - 1; random, a random number for each optimizer step; log_noise, for each image a random share of the logarithm by which gamma raises the noise's deviation (after MixFlow)",
    { default: 'constant', since: { log_noise: 2 } },
  ),
  probability: field(
    positive(1),
    'share of the images that are perturbed, chosen at random in each optimizer step',
    { default: 1, since: 2 },
  ),
  decaySteps: field(
    integer(0, MAX_STEPS),
    'with decay: optimizer steps until the strength is 0; 0 for the whole run',
    { default: 0 },
  ),
  target: field(
    oneOf(['epsilon', 'normalised', 'unnormalised']),
    'the target when the input noise is epsilon + gamma xi: epsilon alone (DDPM-IP); normalised, the sum divided by sqrt(1 + gamma^2) (DDPM-y); unnormalised, the sum',
    { default: 'epsilon' },
  ),
  targetNoise: field(
    real(0, 1),
    'standard deviation of independent noise in the target of the images that are perturbed (after CIOP); 0 for none',
    { default: 0, since: 2 },
  ),
});

export const scheduledSampling = section(
  "training on states of the network's own making (arXiv 2210.05147, with one step)",
  {
    probability: field(
      real(0, 1),
      'share of the images whose x_t the network makes itself, by a step from x_{t+1}; 0 for none; takes one more pass through the network',
      { default: 0, since: 2 },
    ),
  },
);

export const objective = section('what the network predicts, and its loss', {
  meanType: field(oneOf(MEAN_TYPES), 'the prediction: epsilon, x_start (x_0), previous_x (x_{t-1}) or v', {
    default: 'epsilon',
  }),
  varianceType: field(
    oneOf(['fixed_small', 'fixed_large', 'learned_range', 'learned']),
    "the variance of p(x_{t-1} | x_t): fixed_small, the posterior's; fixed_large, beta_t; learned_range, learned between both; learned, its logarithm",
    { default: 'learned_range' },
  ),
  lossType: field(
    oneOf(['mse', 'rescaled_mse', 'kl', 'rescaled_kl']),
    'mse, the squared error, and the VLB of a learned variance; rescaled_mse, with the VLB times T / 1000; kl, the VLB alone; rescaled_kl, the VLB times T',
    { default: 'rescaled_mse' },
  ),
  timestepSampler: field(
    oneOf(['uniform', 'loss-second-moment']),
    "how training timesteps are chosen: uniform, or in proportion to the root mean square of each timestep's last 10 losses",
    { default: 'loss-second-moment' },
  ),
  rescaleTimesteps: field(bool, 'whether timesteps enter the network scaled by 1000 / T', { default: false }),
});

export const gradientPenalty = section("a penalty on the gradient of epsilon in x_t (the paper's ADM-GP)", {
  weight: field(real(0, 1e6), "weight of the gradient penalty in the loss (ADM-GP's lambda); 0 for none", {
    default: 0,
    flag: 'gradient-penalty',
  }),
  estimator: field(
    oneOf(['hutchinson', 'finite_difference']),
    'how the norm is estimated: hutchinson, by the gradient of a gradient; finite_difference, by a second pass',
    { default: 'hutchinson' },
  ),
  stepSize: field(positive(1), 'step size h of finite_difference, in units of x_t', { default: 0.01 }),
});
