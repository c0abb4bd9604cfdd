/** The table of a recipe's fields and the contracts say the same. */
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import test from 'ava';

import { messageDescriptor, recipeFromWire, recipeToWire, recipeWire } from '../../shared/contract/index.js';
import { withValueAt, type Row } from '../../shared/fields/index.js';
import type { Kind, ListKind, WordKind } from '../../shared/foundation/index.js';
import { RECIPE_ROWS } from '../../shared/recipe/index.js';

/** Fields that only answers have. */
const OUTPUT_ONLY = ['noise_schedule.betas_sha256'];

/** Every field of a message by its path; one that holds a message without fields counts itself. */
function fieldsOf(message: DescMessage, path: readonly string[] = []): (readonly [string, DescField])[] {
  return message.fields.flatMap((field) => {
    const own = [...path, field.name];
    if (field.fieldKind !== 'message') return [[own.join('.'), field] as const];
    const inner = fieldsOf(field.message, own);
    return inner.length > 0 ? inner : [[own.join('.'), field] as const];
  });
}

const inContracts = new Map(fieldsOf(messageDescriptor('diffusion.types.v1.TrainingRecipe')));

test('the contracts have every field of the table, and the table every field of the contracts', (t) => {
  const paths = RECIPE_ROWS.map(({ path }) => path);
  t.deepEqual([...paths, ...OUTPUT_ONLY].sort(), [...inContracts.keys()].sort());
});

test('numbers and switches say on the wire whether they are set', (t) => {
  for (const [path, field] of inContracts) {
    if (field.fieldKind !== 'scalar' || field.scalar === ScalarType.STRING) continue;
    t.is(field.presence, FeatureSet_FieldPresence.EXPLICIT, `${path} must be optional`);
  }
});

test('an enum of the contracts has a value for each word of its field, and no other', (t) => {
  for (const { path, field } of RECIPE_ROWS) {
    const desc = inContracts.get(path);
    if (desc?.fieldKind !== 'enum') continue;
    t.is((field.kind as WordKind<string>).words.length, desc.enum.values.length - 1, path);
  }
});

/** A value of the field's kind that is not its default. */
function sampleOf({ field: { kind, default: otherwise } }: Row): unknown {
  const found = samplesOf(kind).find((value) => JSON.stringify(value) !== JSON.stringify(otherwise));
  if (found === undefined) throw new Error(`no sample: ${kind.wanted}`);
  return found;
}

function samplesOf(kind: Kind<unknown>): unknown[] {
  if ('words' in kind) return [...(kind as WordKind<string>).words];
  if ('of' in kind) return samplesOf((kind as ListKind<unknown>).of).map((value) => [value]);
  const texts = ['64', '32', '8', '1', '2', '0.5', '0.05', 'true', 'false', 'abc', '/abc', 's3://bucket/abc'];
  return texts.map(kind.read).filter((value) => value !== undefined);
}

for (const row of RECIPE_ROWS) {
  test(`${row.path} comes through the wire alone`, (t) => {
    const partial = withValueAt(row, {}, sampleOf(row));
    const bytes = recipeWire.TrainingRecipe.encode(recipeToWire(partial)).finish();
    const received = recipeFromWire(recipeWire.TrainingRecipe.decode(bytes)) as Record<string, unknown>;
    t.deepEqual(received, partial);
  });
}
