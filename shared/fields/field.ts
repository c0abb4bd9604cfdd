/** How the fields of a message are declared: a row each, from which all else follows. */

import type { Kind } from '../foundation/index.js';

/** One field. */
export interface Field<T, Optional extends boolean = boolean> {
  readonly node: 'field';
  readonly kind: Kind<T>;
  /** What the field means: a phrase without a full stop. */
  readonly help: string;
  /** The value where nothing else says one. */
  readonly default: T | undefined;
  /** Whether a whole message may be without the field. */
  readonly optional: Optional;
  /** Whether the field may be changed later. */
  readonly mayChange: boolean;
  /** The name of its option on the command line, `batch-size`; without one it is set by its path. */
  readonly flag: string | undefined;
  /**
   * The version of the stored format that brought the field, or by its words those that came later. What uses one of
   * these (a field with another value than its default) can't be read by builds from before that version.
   */
  readonly since: number | Readonly<Record<string, number>>;
}

/** A message inside of another one. */
export interface Section<F extends Fields = Fields, Optional extends boolean = boolean> {
  readonly node: 'section';
  readonly help: string;
  readonly fields: F;
  readonly optional: Optional;
}

/** One of several messages: `{kind: 'folder', path: ...}` in JSON, a oneof whose fields are the kinds in the contracts. */
export interface Union<V extends Variants = Variants> {
  readonly node: 'union';
  /** Completes the sentence "wanted ...". */
  readonly wanted: string;
  readonly variants: V;
}

export interface UnionVariant<F extends Fields = Fields> {
  readonly help: string;
  readonly fields: F;
  /** As of a field's `since`. */
  readonly since?: number;
  /** Whether only programs make it, so that it is neither in the contracts nor in the documentation. */
  readonly isInternal?: true;
}

export type Variants = Readonly<Record<string, UnionVariant>>;
export type Node = Field<unknown> | Section | Union;
export type Fields = Readonly<Record<string, Node>>;

type Extras<T> = Partial<Pick<Field<T>, 'default' | 'mayChange' | 'flag' | 'since'>>;

function declare<T, Optional extends boolean>(
  kind: Kind<T>,
  help: string,
  optional: Optional,
  { default: otherwise, mayChange = false, flag, since = 1 }: Extras<T>,
): Field<T, Optional> {
  return { node: 'field', kind, help, optional, default: otherwise, mayChange, flag, since };
}

export function field<T>(kind: Kind<T>, help: string, extras: Extras<NoInfer<T>> = {}): Field<T, false> {
  return declare(kind, help, false, extras);
}

/** A field that a whole message may be without. */
export function optional<T>(kind: Kind<T>, help: string, extras: Extras<NoInfer<T>> = {}): Field<T, true> {
  return declare(kind, help, true, extras);
}

export function section<F extends Fields>(help: string, fields: F): Section<F, false> {
  return { node: 'section', help, fields, optional: false };
}

/** A message inside of another one that may be whole without it. */
export function optionalSection<F extends Fields>(help: string, fields: F): Section<F, true> {
  return { node: 'section', help, fields, optional: true };
}

export function union<V extends Variants>(wanted: string, variants: V): Union<V> {
  return { node: 'union', wanted, variants };
}

type OptionalKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends { readonly optional: true } ? K : never;
}[keyof F];
type Flat<T> = { [K in keyof T]: T[K] };

/** The type of a whole message, every field set. */
export type ValuesOf<F extends Fields> = Flat<
  { -readonly [K in Exclude<keyof F, OptionalKeys<F>>]: ValueOf<F[K]> } & {
    -readonly [K in OptionalKeys<F>]?: ValueOf<F[K]> | undefined;
  }
>;

type ValueOf<N extends Node> =
  N extends Field<infer T>
    ? T
    : N extends Section<infer F>
      ? ValuesOf<F>
      : N extends Union<infer V>
        ? { [K in keyof V & string]: Flat<{ kind: K } & ValuesOf<V[K]['fields']>> }[keyof V & string]
        : never;

/** A message of which any field may be unset. */
export type PartialOf<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: PartialOf<T[K]> | undefined }
    : T;
