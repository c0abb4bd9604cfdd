/** Checks messages against the declaration of their fields. */

import * as z from 'zod';

import {
  describeValue,
  invalidArgument,
  protoName,
  type FieldViolation,
  type InvalidReason,
  type Kind,
  type ListKind,
} from '../foundation/index.js';
import type { Fields, Node, Union, ValuesOf } from './field.js';
import { asObject } from './objects.js';

/** What happens to fields that aren't declared. */
export type Undeclared = 'refused' | 'kept';

/**
 * The check of a message from outside.
 *
 * @param reason Of its errors.
 * @returns A function from an unknown value to the whole message. It throws INVALID_ARGUMENT that names each refused
 * field by its path in the contracts.
 */
export function checkOf<F extends Fields>(
  fields: F,
  undeclared: Undeclared,
  reason: InvalidReason,
): (value: unknown) => ValuesOf<F> {
  const schema = objectOf(fields, undeclared);
  return (value) => {
    const result = schema.safeParse(value, { reportInput: true });
    // The schema is of the same declaration as the type.
    if (result.success) return result.data as ValuesOf<F>;
    throw invalidArgument(
      result.error.issues.flatMap((issue) => violationsOf(issue, fields, value)),
      reason,
    );
  };
}

function objectOf(fields: Fields, undeclared: Undeclared): z.ZodObject {
  return closed(
    Object.entries(fields).map(([key, node]) => [key, schemaOf(node, undeclared)]),
    undeclared,
  );
}

function closed(fields: readonly (readonly [string, z.ZodType])[], undeclared: Undeclared): z.ZodObject {
  const object = undeclared === 'refused' ? z.strictObject : z.looseObject;
  return object(Object.fromEntries(fields), { error: 'an object' });
}

function schemaOf(node: Node, undeclared: Undeclared): z.ZodType {
  if (node.node === 'union') return unionOf(node, undeclared);
  const schema = node.node === 'field' ? kindOf(node.kind) : objectOf(node.fields, undeclared);
  return node.optional ? schema.optional() : schema;
}

function unionOf({ wanted, variants }: Union, undeclared: Undeclared): z.ZodType {
  const [first, ...others] = Object.entries(variants).map(([name, { fields }]) =>
    closed(
      [
        ['kind', z.literal(name)],
        ...Object.entries(fields).map(([key, node]) => [key, ofVariant(node, undeclared)] as const),
      ],
      undeclared,
    ),
  );
  if (first === undefined) throw new Error('a union has at least one variant');
  return z.discriminatedUnion('kind', [first, ...others], { error: wanted });
}

/** A field's default goes with its variant, so it can't be filled in before the check. */
function ofVariant(node: Node, undeclared: Undeclared): z.ZodType {
  const schema = schemaOf(node, undeclared);
  return node.node === 'field' && node.default !== undefined ? schema.default(node.default) : schema;
}

function kindOf(kind: Kind<unknown>): z.ZodType {
  const { wanted: error } = kind;
  if ('of' in kind) {
    const { of, mayHave } = kind as ListKind<unknown>;
    // The length comes first: of a list that is too long no element is looked at.
    return z
      .custom<unknown[]>((value) => Array.isArray(value) && mayHave(value.length), { error })
      .pipe(z.array(kindOf(of)));
  }
  return z
    .custom((value) => kind.accept(value) !== undefined, { error })
    .transform((value) => kind.accept(value));
}

function violationsOf(issue: z.core.$ZodIssue, fields: Fields, value: unknown): FieldViolation[] {
  const path = pathOf(fields, value, issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: path === '' ? protoName(key) : joined(path, protoName(key)),
      description: 'wanted the name of a field; no field has this name',
    }));
  }
  return [{ field: path, description: `wanted ${issue.message}; got ${describeValue(issue.input)}` }];
}

/** The path in the contracts of a place in a message, where a union's value stands under the name of its kind. */
function pathOf(fields: Fields, value: unknown, [key, ...rest]: readonly PropertyKey[]): string {
  if (key === undefined) return '';
  const name = String(key);
  const node = Object.hasOwn(fields, name) ? fields[name] : undefined;
  const inner = asObject(value)[name];
  switch (node?.node) {
    case 'section':
      return joined(protoName(name), pathOf(node.fields, inner, rest));
    case 'union': {
      const { kind } = asObject(inner);
      if (typeof kind !== 'string' || !Object.hasOwn(node.variants, kind)) return '';
      return joined(protoName(kind), pathOf(node.variants[kind]?.fields ?? {}, inner, rest));
    }
    default:
      return [protoName(name), ...rest.map((index) => `[${String(index)}]`)].join('');
  }
}

function joined(name: string, rest: string): string {
  return rest === '' ? name : `${name}.${rest}`;
}
