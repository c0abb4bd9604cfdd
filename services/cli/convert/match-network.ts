/** A file's tensors against a recipe's network: exactly its parameters, or what differs and what to try. */

import type { StoredTensor } from '../../../shared/checkpoint/index.js';
import { describeValue, DiffusionError } from '../../../shared/foundation/index.js';
import { parameterSpecs, type ParameterSpec } from '../../../shared/model/index.js';
import {
  PRESET_NAMES,
  resolveRecipe,
  unetConfig,
  type TrainingRecipe,
} from '../../../shared/recipe/index.js';

type Tensors = ReadonlyMap<string, Pick<StoredTensor, 'shape'>>;

/** At most this many tensors are named of each kind of difference. */
const NAMED = 3;

/**
 * The parameters of a recipe's network, all of which a file has, and nothing else.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason TENSORS_MISMATCH) that counts and names what differs, with the
 * presets or the fields that fit the file's shapes as its remedy.
 */
export function matchNetwork(tensors: Tensors, recipe: TrainingRecipe): ParameterSpec[] {
  const specs = parameterSpecs(unetConfig(recipe));
  const differences = differencesOf(tensors, specs);
  if (differences.length === 0) return specs;
  throw new DiffusionError(
    'TENSORS_MISMATCH',
    `the file's tensors don't fit the network of the recipe: ${differences.join('; ')}`,
    { metadata: { remedy: remedyOf(tensors, recipe) } },
  );
}

function differencesOf(tensors: Tensors, specs: readonly ParameterSpec[]): string[] {
  const wanted = new Set(specs.map(({ name }) => name));
  const missing = specs.filter(({ name }) => !tensors.has(name)).map(({ name }) => name);
  const unexpected = [...tensors.keys()]
    .filter((name) => !wanted.has(name))
    .map((name) => describeValue(name));
  const reshaped = specs.flatMap(({ name, shape }) => {
    const got = tensors.get(name)?.shape.join(', ') ?? '';
    const same = got === shape.join(', ') || !tensors.has(name);
    return same ? [] : [`${name} wanted [${shape.join(', ')}], got [${got}]`];
  });
  return [
    counted('missing', missing),
    counted('unexpected', unexpected),
    counted('of another shape', reshaped),
  ].filter((text) => text !== '');
}

function counted(what: string, of: readonly string[]): string {
  if (of.length === 0) return '';
  const more = of.length > NAMED ? ', ...' : '';
  return `${of.length} ${of.length === 1 ? 'tensor' : 'tensors'} ${what} (${of.slice(0, NAMED).join(', ')}${more})`;
}

function remedyOf(tensors: Tensors, recipe: TrainingRecipe): string {
  const presets = PRESET_NAMES.filter((preset) => {
    const tried = resolveRecipe({ preset, dataset: { source: { kind: 'unknown' } } }, 'unnamed');
    return differencesOf(tensors, parameterSpecs(unetConfig(tried))).length === 0;
  });
  if (presets.length > 0) return `the file fits ${presets.map((name) => `--preset ${name}`).join(' and ')}`;
  const fields = fieldsOf(tensors, recipe);
  return fields.length === 0
    ? 'try another --preset, or a recipe file with other architecture fields: channelMult, numResBlocks, attentionResolutions'
    : `set these fields in a recipe file, as the file's shapes are: ${fields.join(', ')}`;
}

/** Fields as the shapes of a few tensors give them, where the recipe differs. */
function fieldsOf(tensors: Tensors, { architecture, dataset, objective }: TrainingRecipe): string[] {
  const size = (name: string, axis: number): number | undefined => tensors.get(name)?.shape[axis];
  const found: string[] = [];
  const compare = (field: string, recipeValue: number | boolean, got: number | boolean | undefined): void => {
    if (got !== undefined && got !== recipeValue) found.push(`${field} ${String(got)}`);
  };
  const modelChannels = size('time_embed.0.weight', 1);
  const channels = size('input_blocks.0.0.weight', 1);
  const outputs = size('out.2.weight', 0);
  compare('architecture.modelChannels', architecture.modelChannels, modelChannels);
  compare('architecture.numClasses', architecture.numClasses, size('label_emb.weight', 0) ?? 0);
  compare('dataset.channels', dataset.channels, channels);
  const learned = objective.varianceType.startsWith('learned');
  if (channels !== undefined && outputs === 2 * channels && !learned)
    found.push('objective.varianceType learned_range');
  if (channels !== undefined && outputs === channels && learned)
    found.push('objective.varianceType fixed_small or fixed_large');
  const [embedded, hidden] = [
    size('input_blocks.1.0.emb_layers.1.weight', 0),
    size('input_blocks.1.0.out_layers.0.weight', 0),
  ];
  if (embedded !== undefined && hidden !== undefined)
    compare('architecture.useScaleShiftNorm', architecture.useScaleShiftNorm, embedded === 2 * hidden);
  const names = [...tensors.keys()];
  const separate = names.some((name) => /^input_blocks\.\d+\.0\.op\./.test(name));
  compare('architecture.resblockUpdown', architecture.resblockUpdown, separate ? false : undefined);
  return found;
}
