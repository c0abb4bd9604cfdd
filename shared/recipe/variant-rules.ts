/** What each system of the paper means, and which recipes contradict it. */

import { unmet, violation, type Demand, type FieldViolation } from '../foundation/index.js';
import { isLearned } from '../noise/index.js';
import type { Variant } from './limits.js';
import type { PartialRecipe, TrainingRecipe } from './table.js';

/**
 * Where a recipe's values aren't those of its variant. DDPM, DDPM-IP and DDPM-y name input and target alone, so that
 * each can have a learned variance too (the paper's Table 7 is of the ADM network); the ADM ones name the variance as
 * well. A gradient penalty makes ADM-GP of a network that isn't perturbed; beside input perturbation, where the paper has
 * none, the name stays that of the input.
 */
export function variantViolations(recipe: TrainingRecipe): FieldViolation[] {
  return [
    ...unmet((demand) => {
      checkVariant(recipe, demand);
    }),
    ...objectiveViolations(recipe),
    ...perturbationViolations(recipe),
    ...penaltyViolations(recipe),
  ];
}

function checkVariant(recipe: TrainingRecipe, unnamed: Demand): void {
  const { variant, inputPerturbation, objective, optimizer, gradientPenalty } = recipe;
  const { gamma, target } = inputPerturbation;
  const demand: Demand = (met, field, wanted, got) => {
    unnamed(met, field, `${wanted} for ${variant}`, got);
  };
  const perturbed = variant.endsWith('-IP') || variant === 'DDPM-y';
  demand(perturbed === gamma > 0, 'input_perturbation.gamma', perturbed ? 'more than 0' : '0', gamma);
  demand(
    (variant === 'DDPM-y') !== (target === 'epsilon'),
    'input_perturbation.target',
    variant === 'DDPM-y' ? 'normalised or unnormalised' : 'epsilon',
    target,
  );
  if (variant.startsWith('ADM')) {
    demand(
      isLearned(objective.varianceType),
      'objective.variance_type',
      'a learned variance',
      objective.varianceType,
    );
  }
  if (variant === 'ADM-GP') {
    const wanted = 'more than 0 (the paper leaves the value open)';
    demand(gradientPenalty.weight > 0, 'gradient_penalty.weight', wanted, gradientPenalty.weight);
  } else if (!perturbed) {
    demand(gradientPenalty.weight === 0, 'gradient_penalty.weight', '0', gradientPenalty.weight);
  }
  if (variant === 'ADM-WD') {
    const { weightDecay, l2Penalty } = optimizer;
    demand(
      weightDecay > 0 || l2Penalty > 0,
      'optimizer.weight_decay',
      'more than 0 (decoupled), or optimizer.l2_penalty more than 0 (in the loss); the paper leaves the value open',
      weightDecay,
    );
  }
}

function objectiveViolations({ objective, inputPerturbation }: TrainingRecipe): FieldViolation[] {
  const { meanType } = objective;
  const { target } = inputPerturbation;
  if (meanType === 'epsilon' || target === 'epsilon') return [];
  const wanted = `epsilon with objective.mean_type ${meanType}; normalised and unnormalised (DDPM-y) need mean_type epsilon`;
  return [violation('input_perturbation.target', wanted, target)];
}

/** What can't be combined, or would have no effect. */
function perturbationViolations(recipe: TrainingRecipe): FieldViolation[] {
  const { inputPerturbation, scheduledSampling, objective, gradientPenalty } = recipe;
  const { gamma, schedule, probability, target, targetNoise } = inputPerturbation;
  return unmet((demand) => {
    if (gamma === 0) {
      const without = 'without input_perturbation.gamma, as nothing is perturbed';
      demand(probability === 1, 'input_perturbation.probability', `1 ${without}`, probability);
      demand(schedule !== 'log_noise', 'input_perturbation.schedule', `no log_noise ${without}`, schedule);
      demand(targetNoise === 0, 'input_perturbation.target_noise', `0 ${without}`, targetNoise);
    }
    if (targetNoise > 0) {
      const { meanType, lossType } = objective;
      const beside = 'with input_perturbation.target_noise';
      demand(target === 'epsilon', 'input_perturbation.target', `epsilon ${beside}`, target);
      demand(meanType === 'epsilon', 'objective.mean_type', `epsilon ${beside}`, meanType);
      const wanted = `mse or rescaled_mse ${beside}, since the others have no target`;
      demand(lossType === 'mse' || lossType === 'rescaled_mse', 'objective.loss_type', wanted, lossType);
    }
    if (scheduledSampling.probability > 0) {
      const beside = 'with scheduled_sampling.probability';
      demand(
        gamma === 0,
        'input_perturbation.gamma',
        `0 ${beside}: perturb the input or let the network make it`,
        gamma,
      );
      const { weight } = gradientPenalty;
      demand(weight === 0, 'gradient_penalty.weight', `0 ${beside}`, weight);
    }
  });
}

function penaltyViolations({ gradientPenalty, objective, training }: TrainingRecipe): FieldViolation[] {
  const { weight, estimator } = gradientPenalty;
  if (weight === 0) return [];
  return unmet((demand) => {
    const { meanType } = objective;
    demand(
      meanType === 'epsilon',
      'objective.mean_type',
      'epsilon, since the gradient_penalty is defined for epsilon only',
      meanType,
    );
    switch (estimator) {
      case 'hutchinson':
        // The second differentiation keeps what the first computed again.
        demand(
          !training.gradientCheckpointing,
          'training.gradient_checkpointing',
          'false with gradient_penalty.estimator hutchinson, where it saves no memory',
          training.gradientCheckpointing,
        );
        break;
      case 'finite_difference':
        demand(
          training.precision === 'float32',
          'training.precision',
          "float32 with gradient_penalty.estimator finite_difference, whose differences are smaller than bfloat16's rounding errors",
          training.precision,
        );
        break;
    }
  });
}

/** The variant that a recipe's fields amount to. Bad values pass: the schema names them. */
export function impliedVariant(recipe: PartialRecipe): Variant {
  const { inputPerturbation, objective, optimizer, gradientPenalty } = recipe;
  const perturbed = (inputPerturbation?.gamma ?? 0) > 0;
  if (perturbed && (inputPerturbation?.target ?? 'epsilon') !== 'epsilon') return 'DDPM-y';
  if (!perturbed && (gradientPenalty?.weight ?? 0) > 0) return 'ADM-GP';
  if (!isLearned(objective?.varianceType)) return perturbed ? 'DDPM-IP' : 'DDPM';
  if (perturbed) return 'ADM-IP';
  return (optimizer?.weightDecay ?? 0) > 0 || (optimizer?.l2Penalty ?? 0) > 0 ? 'ADM-WD' : 'ADM';
}
