/** What a command's options may be: each kind parses its text and describes the allowed values. */

import { uint64 as decimal, type Parser } from '../../shared/foundation/index.js';

export { address, integer, oneOf, real } from '../../shared/foundation/index.js';

export interface Option<T> {
  /** Undefined for a flag, which takes no value. */
  readonly kind: Parser<unknown> | undefined;
  readonly help: string;
  /** The value where nothing is given. */
  readonly fallback: T;
  /** The variable that gives the value where the flag doesn't. */
  readonly environment: string | undefined;
  /** Whether the option may be given several times. */
  readonly repeats: boolean;
}

interface Extras {
  readonly environment?: string;
}

/** An option that takes a value; without a fallback it is undefined where it isn't given. */
export function option<T>(
  kind: Parser<T>,
  help: string,
  extras: Extras & { readonly fallback: NoInfer<T> },
): Option<T>;
export function option<T>(kind: Parser<T>, help: string, extras?: Extras): Option<T | undefined>;
export function option<T>(
  kind: Parser<T>,
  help: string,
  { environment, fallback }: Extras & { fallback?: T } = {},
): Option<T | undefined> {
  return { kind, help, fallback, environment, repeats: false };
}

/** An option without a value, false where it isn't given. */
export function flag(help: string): Option<boolean> {
  return { kind: undefined, help, fallback: false, environment: undefined, repeats: false };
}

/** An option that takes a value each time it is given, and the values of its variable with commas between them. */
export function repeated<T>(
  kind: Parser<T>,
  help: string,
  { environment, fallback = [] }: Extras & { readonly fallback?: readonly NoInfer<T>[] } = {},
): Option<readonly T[]> {
  return { kind, help, fallback, environment, repeats: true };
}

export type Options = Readonly<Record<string, Option<unknown>>>;

export type Values<O extends Options> = {
  readonly [Key in keyof O]: O[Key] extends Option<infer T> ? T : never;
};

/** Any text but the empty one. */
export function text(placeholder: string): Parser<string> {
  return { placeholder, wanted: 'some text', read: (value) => (value === '' ? undefined : value) };
}

/** An unsigned 64-bit integer. */
export const uint64: Parser<bigint> = {
  placeholder: 'N',
  wanted: 'an integer from 0 to 2^64 - 1',
  read: (value) => {
    const digits = decimal.read(value);
    return digits === undefined ? undefined : BigInt(digits);
  },
};

/** One or more of the words. */
export function listOf<const T extends string>(words: readonly T[], placeholder: string): Parser<T[]> {
  return {
    placeholder,
    wanted: `one or more of ${words.join(', ')}, with commas between them`,
    read: (value) => {
      const parts = value.split(',').map((part) => words.find((word) => word === part.trim().toUpperCase()));
      return parts.every((part) => part !== undefined) ? parts : undefined;
    },
  };
}

/** A date, or a date and time. */
export const time: Parser<Date> = {
  placeholder: 'TIME',
  wanted: 'a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z',
  read: (value) => {
    const date = new Date(/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2})?)?$/.test(value) ? value : NaN);
    return Number.isNaN(date.getTime()) ? undefined : date;
  },
};

export const integers: Parser<number[]> = {
  placeholder: 'N,N,...',
  wanted: 'integers with commas between them',
  read: (value) => (/^\d{1,9}(,\d{1,9})*$/.test(value) ? value.split(',').map(Number) : undefined),
};

/** From `min` to `max` numbers. */
export function numbers(min: number, max: number, placeholder: string): Parser<number[]> {
  const how = min === max ? String(min) : `${min} or ${max}`;
  return {
    placeholder,
    wanted: `${how} numbers with a comma between them`,
    read: (value) => {
      const parts = value.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
      return parts.length >= min && parts.length <= max && parts.every(Number.isFinite) ? parts : undefined;
    },
  };
}
