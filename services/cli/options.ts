/** What a command's options may be: each kind reads its text and says what it wants. */

import type { WeightsChoice } from '../../shared/checkpoint/index.js';

/** A kind of value, read from the text of a flag or a variable. */
export interface Kind<T> {
  /** Stands for the value in help. */
  readonly placeholder: string;
  /** Completes the sentence "wanted ...". */
  readonly wanted: string;
  /** The value, or undefined where the text is none. */
  read(text: string): T | undefined;
}

export interface Option<T> {
  /** Undefined for a flag, which takes no value. */
  readonly kind: Kind<unknown> | undefined;
  readonly help: string;
  /** The value where nothing is given. */
  readonly fallback: T;
  /** The variable that gives the value where the flag doesn't. */
  readonly environment: string | undefined;
}

interface Extras {
  readonly environment?: string;
}

/** An option that takes a value; without a fallback it is undefined where it isn't given. */
export function option<T>(
  kind: Kind<T>,
  help: string,
  extras: Extras & { readonly fallback: NoInfer<T> },
): Option<T>;
export function option<T>(kind: Kind<T>, help: string, extras?: Extras): Option<T | undefined>;
export function option<T>(
  kind: Kind<T>,
  help: string,
  { environment, fallback }: Extras & { fallback?: T } = {},
): Option<T | undefined> {
  return { kind, help, fallback, environment };
}

/** An option without a value, false where it isn't given. */
export function flag(help: string): Option<boolean> {
  return { kind: undefined, help, fallback: false, environment: undefined };
}

export type Options = Readonly<Record<string, Option<unknown>>>;

export type Values<O extends Options> = {
  readonly [Key in keyof O]: O[Key] extends Option<infer T> ? T : never;
};

/** Any text but the empty one. */
export function text(placeholder: string): Kind<string> {
  return { placeholder, wanted: 'some text', read: (value) => (value === '' ? undefined : value) };
}

export function integer(min: number, max: number, placeholder = 'N'): Kind<number> {
  return {
    placeholder,
    wanted: `an integer from ${min} to ${max}`,
    read: (value) => inRange(/^-?\d+$/.test(value) ? Number(value) : NaN, min, max),
  };
}

export function real(min: number, max: number, placeholder = 'X'): Kind<number> {
  return {
    placeholder,
    wanted: `a number from ${min} to ${max}`,
    read: (value) => inRange(value.trim() === '' ? NaN : Number(value), min, max),
  };
}

/** An unsigned 64-bit integer. */
export const uint64: Kind<bigint> = {
  placeholder: 'N',
  wanted: 'an integer from 0 to 2^64 - 1',
  read: (value) => (/^\d{1,20}$/.test(value) && BigInt(value) < 2n ** 64n ? BigInt(value) : undefined),
};

export function oneOf<const T extends string>(words: readonly T[]): Kind<T> {
  return {
    placeholder: words.join('|'),
    wanted: `one of ${words.join(', ')}`,
    read: (value) => words.find((word) => word === value),
  };
}

/** One or more of the words. */
export function listOf<const T extends string>(words: readonly T[], placeholder: string): Kind<T[]> {
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
export const time: Kind<Date> = {
  placeholder: 'TIME',
  wanted: 'a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z',
  read: (value) => {
    const date = new Date(/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2})?)?$/.test(value) ? value : NaN);
    return Number.isNaN(date.getTime()) ? undefined : date;
  },
};

/** Which weights of a checkpoint. */
export const weights: Kind<WeightsChoice> = {
  placeholder: 'raw|RATE',
  wanted: 'raw, or an EMA rate from 0 up to but not 1',
  read: (value) => {
    if (value === 'raw') return 'raw';
    const rate = value.trim() === '' ? NaN : Number(value);
    return rate >= 0 && rate < 1 ? rate : undefined;
  },
};

export const address: Kind<string> = {
  placeholder: 'HOST:PORT',
  wanted: 'an address such as 127.0.0.1:50061',
  read: (value) => (/^(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}$/.test(value) ? value : undefined),
};

export const integers: Kind<number[]> = {
  placeholder: 'N,N,...',
  wanted: 'integers with commas between them',
  read: (value) => (/^\d{1,9}(,\d{1,9})*$/.test(value) ? value.split(',').map(Number) : undefined),
};

/** From `min` to `max` numbers. */
export function numbers(min: number, max: number, placeholder: string): Kind<number[]> {
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

function inRange(value: number, min: number, max: number): number | undefined {
  return value >= min && value <= max ? value : undefined;
}
