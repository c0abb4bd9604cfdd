/**
 * Training recipes <-> the wire, by the table of a recipe's fields and the contracts' descriptors. What a client left
 * unset stays unset; the recipe room checks the values.
 */

import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';

import { asObject, isObject, type Fields, type Node, type UnknownObject } from '../fields/index.js';
import { uint64, type Kind, type WordKind } from '../foundation/index.js';
import { RECIPE, type PartialRecipe, type WeightsChoice } from '../recipe/index.js';
import { messageDescriptor } from './descriptors.js';
import { enumCodec, type EnumCodec } from './enums.js';
import { TrainingRecipe as WireRecipe } from './generated/diffusion/types/v1/recipe.js';
import type { Weights } from './generated/diffusion/types/v1/weights.js';
import { weightsFromWire, weightsToWire } from './weights.js';

const descriptor = (): DescMessage => messageDescriptor('diffusion.types.v1.TrainingRecipe');

/**
 * A recipe as a client sent it, in the form of a recipe file.
 *
 * The result is unchecked (a wire enum of 77 or a NaN passes); hand it to `resolveRecipe` or `changeRecipe`.
 */
export function recipeFromWire(wire: WireRecipe | undefined): PartialRecipe {
  return wire === undefined ? {} : fromWire(RECIPE, descriptor(), asObject(wire));
}

/** @param betasSha256 Goes with the schedule where it is known; a client can compare it. */
export function recipeToWire(recipe: PartialRecipe, betasSha256 = ''): WireRecipe {
  const set: Partial<WireRecipe> = toWire(RECIPE, descriptor(), asObject(recipe));
  // Unset fields get what stands for them on the wire.
  const wire = WireRecipe.fromPartial(set);
  if (wire.noiseSchedule !== undefined) wire.noiseSchedule.betasSha256 = betasSha256;
  return wire;
}

function fromWire(fields: Fields, message: DescMessage, wire: UnknownObject): UnknownObject {
  return mapFields(fields, (key, node) => {
    const value = wire[key];
    if (node.node === 'union') {
      const { $case: kind, value: inner } = asObject(value);
      const variant = typeof kind === 'string' ? node.variants[kind] : undefined;
      return (
        variant && { kind, ...fromWire(variant.fields, messageOf(message, String(kind)), asObject(inner)) }
      );
    }
    if (node.node === 'section')
      return isObject(value) ? fromWire(node.fields, messageOf(message, key), value) : undefined;
    return valueFromWire(node.kind, fieldOf(message, key), value);
  });
}

function toWire(fields: Fields, message: DescMessage, values: UnknownObject): UnknownObject {
  return mapFields(fields, (key, node) => {
    const value = values[key];
    if (value === undefined) return undefined;
    if (node.node === 'union') {
      const { kind, ...inner } = asObject(value);
      const variant = typeof kind === 'string' ? node.variants[kind] : undefined;
      // An internal kind has no form on the wire.
      if (variant === undefined || variant.isInternal) return undefined;
      return { $case: kind, value: toWire(variant.fields, messageOf(message, String(kind)), inner) };
    }
    if (node.node === 'section') return toWire(node.fields, messageOf(message, key), asObject(value));
    return valueToWire(node.kind, fieldOf(message, key), value);
  });
}

function valueFromWire(kind: Kind<unknown>, desc: DescField, value: unknown): unknown {
  if (desc.fieldKind === 'list') return Array.isArray(value) && value.length > 0 ? value : undefined;
  if (desc.fieldKind === 'enum') return wordsOf(kind, desc).read(Number(value));
  if (isWeights(desc)) return weightsFromWire(value as Weights | undefined);
  if (value === '' && desc.presence === FeatureSet_FieldPresence.IMPLICIT) return undefined;
  // Beyond 2^53 a number would be another one; it is refused as out of range in any case.
  if (typeof value === 'bigint') return kind === uint64 ? String(value) : Number(value);
  return value;
}

function valueToWire(kind: Kind<unknown>, desc: DescField, value: unknown): unknown {
  if (desc.fieldKind === 'enum') return wordsOf(kind, desc).write(String(value));
  if (isWeights(desc)) return weightsToWire(value as WeightsChoice);
  const isLong = desc.fieldKind === 'scalar' && desc.scalar === ScalarType.UINT64;
  return isLong ? BigInt(value as number | string) : value;
}

/** A field whose message is one value of the table: raw, or an EMA rate. */
function isWeights(desc: DescField): boolean {
  return desc.fieldKind === 'message' && desc.message.typeName === 'diffusion.types.v1.Weights';
}

function wordsOf(
  kind: Kind<unknown>,
  desc: DescField & { readonly fieldKind: 'enum' },
): EnumCodec<string, number> {
  const values = Object.fromEntries(desc.enum.values.map(({ name, number }) => [name, number]));
  return enumCodec(values, (kind as WordKind<string>).words);
}

function mapFields(fields: Fields, convert: (key: string, node: Node) => unknown): UnknownObject {
  const converted = Object.entries(fields).map(([key, node]) => [key, convert(key, node)] as const);
  return Object.fromEntries(converted.filter(([, value]) => value !== undefined));
}

/** @throws Error for a field of the table that the contracts don't have, which a test finds. */
function fieldOf(message: DescMessage, key: string): DescField {
  const field = message.field[key];
  if (field === undefined) throw new Error(`${message.typeName} has no field ${key}`);
  return field;
}

function messageOf(message: DescMessage, key: string): DescMessage {
  const field = fieldOf(message, key);
  if (field.fieldKind !== 'message') throw new Error(`${field.toString()} is not a message`);
  return field.message;
}
