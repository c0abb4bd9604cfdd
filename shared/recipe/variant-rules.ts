/** What each system of the paper means, and which recipes contradict it. */

import { violation, type FieldViolation } from '../foundation/index.js';
import { isLearned } from '../noise/index.js';
import type { PartialRecipe, TrainingRecipe, Variant } from './schema.js';

/**
 * Where a recipe's values aren't those of its variant. DDPM, DDPM-IP and DDPM-y name input and target alone, so that
 * each can have a learned variance too (the paper's Table 7 is of the ADM network); the ADM ones name the variance as
 * well. A gradient penalty makes ADM-GP of a network that isn't perturbed; beside input perturbation, where the paper has
 * none, the name stays that of the input.
 */
export function variantViolations(recipe: TrainingRecipe): FieldViolation[] {
  const { variant, inputPerturbation, objective, optimizer, gradientPenalty } = recipe;
  const { gamma, target } = inputPerturbation;
  const found: FieldViolation[] = [];
  const demand = (met: boolean, field: string, wanted: string, got: unknown): void => {
    if (!met) found.push(violation(field, `${wanted} for ${variant}`, got));
  };
  const perturbed = variant.endsWith('-IP') || variant === 'DDPM-y';
  demand(perturbed === gamma > 0, 'inputPerturbation.gamma', perturbed ? 'more than 0' : '0', gamma);
  demand(
    (variant === 'DDPM-y') !== (target === 'epsilon'),
    'inputPerturbation.target',
    variant === 'DDPM-y' ? 'normalised or unnormalised' : 'epsilon',
    target,
  );
  if (variant.startsWith('ADM')) {
    demand(
      isLearned(objective.varianceType),
      'objective.varianceType',
      'a learned variance',
      objective.varianceType,
    );
  }
  if (variant === 'ADM-GP') {
    const wanted = 'more than 0 (the paper leaves the value open)';
    demand(gradientPenalty.lambda > 0, 'gradientPenalty.lambda', wanted, gradientPenalty.lambda);
  } else if (!perturbed) {
    demand(gradientPenalty.lambda === 0, 'gradientPenalty.lambda', '0', gradientPenalty.lambda);
  }
  if (variant === 'ADM-WD') {
    const { weightDecay, l2Penalty } = optimizer;
    demand(
      weightDecay > 0 || l2Penalty > 0,
      'optimizer.weightDecay',
      'more than 0 (decoupled), or optimizer.l2Penalty more than 0 (in the loss); the paper leaves the value open',
      weightDecay,
    );
  }
  return [...found, ...objectiveViolations(recipe), ...penaltyViolations(recipe)];
}

function objectiveViolations({ objective, inputPerturbation }: TrainingRecipe): FieldViolation[] {
  const { meanType } = objective;
  const { target } = inputPerturbation;
  if (meanType === 'epsilon' || target === 'epsilon') return [];
  const wanted = `epsilon with objective.meanType ${meanType}, which doesn't predict noise`;
  return [violation('inputPerturbation.target', wanted, target)];
}

function penaltyViolations({ gradientPenalty, objective, training }: TrainingRecipe): FieldViolation[] {
  const { lambda, estimator } = gradientPenalty;
  if (lambda === 0) return [];
  const found: FieldViolation[] = [];
  const demand = (met: boolean, field: string, wanted: string, got: unknown): void => {
    if (!met) found.push(violation(field, wanted, got));
  };
  const { meanType } = objective;
  demand(
    meanType === 'epsilon',
    'objective.meanType',
    'epsilon with a gradientPenalty, which is on it',
    meanType,
  );
  switch (estimator) {
    case 'hutchinson':
      // The second differentiation keeps what the first computed again.
      demand(
        !training.gradientCheckpointing,
        'training.gradientCheckpointing',
        'false with gradientPenalty.estimator hutchinson, where it would free nothing',
        training.gradientCheckpointing,
      );
      break;
    case 'finite_difference':
      demand(
        training.precision === 'float32',
        'training.precision',
        "float32 with gradientPenalty.estimator finite_difference, which drowns in bfloat16's rounding",
        training.precision,
      );
      break;
  }
  return found;
}

/** The variant that a recipe's fields amount to. Bad values pass: the schema names them. */
export function impliedVariant(recipe: PartialRecipe): Variant {
  const { inputPerturbation, objective, optimizer, gradientPenalty } = recipe;
  const perturbed = (inputPerturbation?.gamma ?? 0) > 0;
  if (perturbed && (inputPerturbation?.target ?? 'epsilon') !== 'epsilon') return 'DDPM-y';
  if (!perturbed && (gradientPenalty?.lambda ?? 0) > 0) return 'ADM-GP';
  if (!isLearned(objective?.varianceType)) return perturbed ? 'DDPM-IP' : 'DDPM';
  if (perturbed) return 'ADM-IP';
  return (optimizer?.weightDecay ?? 0) > 0 || (optimizer?.l2Penalty ?? 0) > 0 ? 'ADM-WD' : 'ADM';
}
