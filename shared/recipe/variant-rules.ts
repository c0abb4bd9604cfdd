/** What each system of the paper means, and which recipes contradict it. */

import { violation, type FieldViolation } from '../foundation/index.js';
import { isLearned } from '../noise/index.js';
import type { PartialRecipe, TrainingRecipe, Variant } from './schema.js';

/**
 * Where a recipe's values aren't those of its variant. DDPM, DDPM-IP and DDPM-y name input and target alone, so that
 * each can have a learned variance too (the paper's Table 7 is of the ADM network); the ADM ones name the variance as
 * well.
 */
export function variantViolations(recipe: TrainingRecipe): FieldViolation[] {
  const { variant, inputPerturbation, objective, optimizer } = recipe;
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
  if (variant === 'ADM-WD') {
    const { weightDecay, l2Penalty } = optimizer;
    demand(
      weightDecay > 0 || l2Penalty > 0,
      'optimizer.weightDecay',
      'more than 0 (decoupled), or optimizer.l2Penalty more than 0 (in the loss); the paper leaves the value open',
      weightDecay,
    );
  }
  return [...found, ...objectiveViolations(recipe)];
}

function objectiveViolations({ objective, inputPerturbation }: TrainingRecipe): FieldViolation[] {
  const { meanType } = objective;
  const { target } = inputPerturbation;
  if (meanType === 'epsilon' || target === 'epsilon') return [];
  const wanted = `epsilon with objective.meanType ${meanType}, which doesn't predict noise`;
  return [violation('inputPerturbation.target', wanted, target)];
}

/** The variant that a recipe's fields amount to. Bad values pass: the schema names them. */
export function impliedVariant({ inputPerturbation, objective, optimizer }: PartialRecipe): Variant {
  const perturbed = (inputPerturbation?.gamma ?? 0) > 0;
  if (perturbed && (inputPerturbation?.target ?? 'epsilon') !== 'epsilon') return 'DDPM-y';
  if (!isLearned(objective?.varianceType)) return perturbed ? 'DDPM-IP' : 'DDPM';
  if (perturbed) return 'ADM-IP';
  return (optimizer?.weightDecay ?? 0) > 0 || (optimizer?.l2Penalty ?? 0) > 0 ? 'ADM-WD' : 'ADM';
}
