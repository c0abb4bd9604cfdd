/** The declared fields of a message as a flat table, by their paths in the contracts. */

import { protoName } from '../foundation/index.js';
import type { Kind } from '../foundation/index.js';
import { field, type Field, type Fields, type Node, type Union } from './field.js';
import { asObject, type UnknownObject } from './objects.js';

export interface Row {
  /** `training.batch_size`, `dataset.folder.path`. */
  readonly path: string;
  readonly field: Field<unknown>;
  readonly place: readonly Step[];
}

/** One key on the way from a message to a field, with the kind that the object there must be of if it is a union's. */
interface Step {
  readonly key: string;
  readonly kind?: string;
}

/** A message without fields: it is there, or it isn't. */
const present: Kind<true> = {
  wanted: 'true',
  placeholder: 'true',
  read: (text) => (text === 'true' ? true : undefined),
  accept: (value) => (value === true ? true : undefined),
};

/** A row for each field, in the order of the declaration. */
export function rowsOf(fields: Fields, path: readonly string[] = [], place: readonly Step[] = []): Row[] {
  return Object.entries(fields).flatMap(([key, node]) => rowsOfNode(node, key, path, place));
}

function rowsOfNode(node: Node, key: string, path: readonly string[], place: readonly Step[]): Row[] {
  const [ownPath, ownPlace] = [
    [...path, protoName(key)],
    [...place, { key }],
  ];
  switch (node.node) {
    case 'field':
      return [{ path: ownPath.join('.'), field: node, place: ownPlace }];
    case 'section':
      return rowsOf(node.fields, ownPath, ownPlace);
    case 'union':
      return rowsOfUnion(node, key, path, place);
  }
}

function rowsOfUnion(
  { variants }: Union,
  key: string,
  path: readonly string[],
  place: readonly Step[],
): Row[] {
  return Object.entries(variants).flatMap(([kind, { fields, help, isInternal }]) => {
    if (isInternal) return [];
    const [ownPath, ownPlace] = [
      [...path, protoName(kind)],
      [...place, { key, kind }],
    ];
    const rows = rowsOf(fields, ownPath, ownPlace);
    return rows.length > 0
      ? rows
      : [{ path: ownPath.join('.'), field: field(present, help), place: ownPlace }];
  });
}

/** The value of a row's field in a message; undefined where it is unset. */
export function valueAt({ place }: Row, message: unknown): unknown {
  return place.reduce<unknown>((object, { key, kind }) => {
    const value = asObject(object)[key];
    return kind === undefined || asObject(value)['kind'] === kind ? value : undefined;
  }, message);
}

/** The message with a row's field set; a union of another kind is replaced. */
export function withValueAt({ place }: Row, message: UnknownObject, value: unknown): UnknownObject {
  return withValue(message, place, value);
}

function withValue(object: UnknownObject, [step, ...rest]: readonly Step[], value: unknown): UnknownObject {
  if (step === undefined) return object;
  const { key, kind } = step;
  const standing = asObject(object[key]);
  const inner = kind === undefined || standing['kind'] === kind ? standing : { kind };
  if (rest.length > 0) return { ...object, [key]: withValue(inner, rest, value) };
  return { ...object, [key]: kind === undefined ? value : inner };
}
