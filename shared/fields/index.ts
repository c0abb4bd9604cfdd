export { checkOf } from './check.js';
export type { Undeclared } from './check.js';
export { field, optional, optionalSection, section, union } from './field.js';
export type { Field, Fields, Node, PartialOf, Section, Union, UnionVariant, ValuesOf } from './field.js';
export { asObject, isObject } from './objects.js';
export type { UnknownObject } from './objects.js';
export { rowsOf, valueAt, withValueAt } from './rows.js';
export type { Row } from './rows.js';
export { newestVersion, versionOf } from './versions.js';
