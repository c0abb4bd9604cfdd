/** Which version of its stored format a message needs, by what it uses. */

import type { Field, Fields } from './field.js';
import { asObject } from './objects.js';

const FIRST = 1;

/** The newest version that any declared field, word or variant needs. */
export function newestVersion(fields: Fields): number {
  const versions = Object.values(fields).flatMap((node): number[] => {
    switch (node.node) {
      case 'field':
        return typeof node.since === 'number' ? [node.since] : Object.values(node.since);
      case 'section':
        return [newestVersion(node.fields)];
      case 'union':
        return Object.values(node.variants).flatMap(({ since = FIRST, fields: inner }) => [
          since,
          newestVersion(inner),
        ]);
    }
  });
  return Math.max(FIRST, ...versions);
}

/** The lowest version whose builds can honour the message, so that as many builds as can be read it. */
export function versionOf(fields: Fields, message: unknown): number {
  const versions = Object.entries(fields).map(([key, node]) => {
    const value = asObject(message)[key];
    switch (node.node) {
      case 'field':
        return versionOfField(node, value);
      case 'section':
        return versionOf(node.fields, value);
      case 'union': {
        const { kind } = asObject(value);
        const variant = typeof kind === 'string' ? node.variants[kind] : undefined;
        return Math.max(variant?.since ?? FIRST, versionOf(variant?.fields ?? {}, value));
      }
    }
  });
  return Math.max(FIRST, ...versions);
}

function versionOfField({ since, default: otherwise }: Field<unknown>, value: unknown): number {
  if (typeof since !== 'number') return (typeof value === 'string' ? since[value] : undefined) ?? FIRST;
  const isUsed = value !== undefined && JSON.stringify(value) !== JSON.stringify(otherwise);
  return isUsed ? since : FIRST;
}
