/** A setting of a program as a row of a table: parsing, help, documentation and errors follow from it. */

import { oneOf, type Parser } from './kinds.js';

export interface Setting<T> {
  /** The environment variable that holds it. */
  readonly variable: string;
  readonly kind: Parser<T>;
  /** A clause that begins in lower case, without a full stop. */
  readonly help: string;
  /** The value where none is given. */
  readonly fallback: T | undefined;
  /** What holds where none is given, in words; undefined where the fallback says it. */
  readonly otherwise: string | undefined;
  /** Of a number, such as `ms` or `MiB`. */
  readonly unit: string | undefined;
  /**
   * How it is given as a flag. `value`: with a value. `switch`: without one, for `on`. `list`: once for each value. `none`:
   * not at all, because a command line shows in the list of processes; nor is it read from a configuration file.
   */
  readonly flag: 'value' | 'switch' | 'list' | 'none';
}

/** The settings of a program by their names in code; `maxImages` is `--max-images`, and `max_images` in a file. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

interface Extras<T> {
  readonly fallback?: T;
  readonly otherwise?: string;
  readonly unit?: string;
  readonly flag?: Setting<unknown>['flag'];
}

/** A setting that has a value always. */
export type Settled<T> = Setting<T> & { readonly fallback: T };

/** Declares a setting; without a fallback it is undefined where it isn't given. */
export function setting<T>(
  variable: string,
  kind: Parser<T>,
  help: string,
  extras: Extras<NoInfer<T>> & { readonly fallback: NoInfer<T> },
): Settled<T>;
export function setting<T>(variable: string, kind: Parser<T>, help: string, extras?: Extras<T>): Setting<T>;
export function setting<T>(
  variable: string,
  kind: Parser<T>,
  help: string,
  { fallback, otherwise, unit, flag = 'value' }: Extras<T> = {},
): Setting<T> {
  return { variable, kind, help, fallback, otherwise, unit, flag };
}

/** Any text but the empty one, which counts as unset. */
export function anyText(placeholder: string): Parser<string> {
  return { placeholder, wanted: 'some text', read: (text) => (text === '' ? undefined : text) };
}

/** Texts with commas between them; empty ones don't count. */
export function texts(placeholder: string): Parser<readonly string[]> {
  return {
    placeholder,
    wanted: 'texts with commas between them',
    read: (text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
  };
}

const words = oneOf(['on', 'off']);

export const onOff: Parser<boolean> = {
  placeholder: words.placeholder,
  wanted: words.wanted,
  read: (text) => {
    const word = words.read(text);
    return word === undefined ? undefined : word === 'on';
  },
};
