/** A recipe's network, field by field under the recipe's names: which values are refused, and which fields two networks differ in. */

import { describeValue, protoName, violation, type FieldViolation } from '../foundation/index.js';
import { unetViolations, type UNetConfig } from '../model/index.js';
import { unetConfig } from './parts.js';
import type { TrainingRecipe } from './table.js';

type Section = 'dataset' | 'objective' | 'architecture';

/** Fields of a network that don't stand under `architecture`, or not under their own name: their place in a recipe. */
const ELSEWHERE: Readonly<Record<string, readonly [Section, string]>> = {
  imageSize: ['dataset', 'imageSize'],
  inChannels: ['dataset', 'channels'],
  outChannels: ['objective', 'varianceType'],
};

function placeOf(field: string): readonly [Section, string] {
  return ELSEWHERE[field] ?? ['architecture', field];
}

function pathOf(field: string): string {
  return placeOf(field).map(protoName).join('.');
}

/** The network's own check, under the recipe's names; one violation a field is enough. */
export function networkViolations(recipe: TrainingRecipe): FieldViolation[] {
  const byField = new Map<string, FieldViolation>();
  for (const { field, description } of unetViolations(unetConfig(recipe))) {
    const path = pathOf(field);
    if (!byField.has(path)) byField.set(path, { field: path, description });
  }
  return [...byField.values()];
}

/** Where a recipe's network isn't the one of another recipe, whose weights it is to take. Dropout has no weights. */
export function networkDifferences(recipe: TrainingRecipe, source: TrainingRecipe): FieldViolation[] {
  const [ours, theirs] = [comparable(unetConfig(recipe)), comparable(unetConfig(source))];
  return Object.keys({ ...ours, ...theirs }).flatMap((field) => {
    if (JSON.stringify(ours[field]) === JSON.stringify(theirs[field])) return [];
    const [section, name] = placeOf(field);
    const [got, wanted] = [recipe, source].map((of) => (of[section] as Record<string, unknown>)[name]);
    return [violation(pathOf(field), `${describeValue(wanted)}, as in the network of the weights`, got)];
  });
}

/** What of a network its weights are bound to: not its dropout, nor switches without effect beside others. */
function comparable(config: UNetConfig): Record<string, unknown> {
  const { attentionResolutions, numHeads, numHeadChannels, resblockUpdown, convResample } = config;
  return {
    ...config,
    attentionResolutions: [...attentionResolutions].sort((a, b) => a - b),
    dropout: undefined,
    numHeads: numHeadChannels === -1 ? numHeads : undefined,
    convResample: resblockUpdown ? undefined : convResample,
  };
}
