/**
 * Kinds of values from outside, each with the words that say what is wanted. Recipes, command lines and environment
 * variables take their values by the same kinds.
 */

/** How a value is written as text, in a command line or an environment variable. */
export interface Parser<T> {
  /** Completes the sentence "wanted ...". */
  readonly wanted: string;
  /** Stands for the value in a command's help. */
  readonly placeholder: string;
  /** The value of a text; undefined where it is none. */
  readonly read: (text: string) => T | undefined;
  /** Whether its values are integers, such as limits. */
  readonly isInteger?: boolean;
}

export interface Kind<T> extends Parser<T> {
  /** The value as it is kept, of one from JSON or the wire; undefined where it isn't of the kind. */
  readonly accept: (value: unknown) => T | undefined;
}

export interface WordKind<T extends string | number> extends Kind<T> {
  readonly words: readonly T[];
}

export interface ListKind<T> extends Kind<T[]> {
  readonly of: Kind<T>;
  /** Whether a list may be so long. Looks at no element. */
  readonly mayHave: (length: number) => boolean;
}

/** Whether a value is an integer that a number holds exactly, from `min` to `max`. */
export function isInteger(value: number, min?: number, max?: number): boolean;
export function isInteger(value: unknown, min?: number, max?: number): value is number;
export function isInteger(value: unknown, min = 0, max = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max;
}

/** A kind whose values need no other form than the one in which they come. */
function kind<T>(
  wanted: string,
  placeholder: string,
  is: (value: unknown) => value is T,
  parse: (text: string) => unknown,
): Kind<T> {
  const accept = (value: unknown): T | undefined => (is(value) ? value : undefined);
  return { wanted, placeholder, accept, read: (text) => accept(parse(text)) };
}

export function integer(min: number, max: number, placeholder = 'N'): Kind<number> {
  return {
    ...kind(
      `an integer from ${min} to ${max}`,
      placeholder,
      (value) => isInteger(value, min, max),
      (text) => (/^-?\d+$/.test(text) ? Number(text) : undefined),
    ),
    isInteger: true,
  };
}

export function real(
  min: number,
  max: number,
  { wanted = `a number from ${min} to ${max}`, placeholder = 'X' } = {},
): Kind<number> {
  const is = (value: unknown): value is number => typeof value === 'number' && value >= min && value <= max;
  return kind(wanted, placeholder, is, parseNumber);
}

/** A number above 0, up to `max`. */
export function positive(max: number): Kind<number> {
  const wanted = `a number above 0, at most ${max}`;
  return kind(
    wanted,
    'X',
    (value): value is number => typeof value === 'number' && value > 0 && value <= max,
    parseNumber,
  );
}

export const bool: Kind<boolean> = kind(
  'true or false',
  'true|false',
  (value) => typeof value === 'boolean',
  (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
);

export function oneOf<const T extends string | number>(words: readonly T[]): WordKind<T> {
  const is = (value: unknown): value is T => (words as readonly unknown[]).includes(value);
  const parse = (text: string): unknown => words.find((word) => String(word) === text);
  return { ...kind(`one of ${words.join(', ')}`, words.join('|'), is, parse), words };
}

/** A text of a pattern, which must bound its length. */
export function matching(pattern: RegExp, wanted: string, placeholder = 'TEXT'): Kind<string> {
  return textThat((text) => pattern.test(text), wanted, placeholder);
}

/** A text that passes a test, which must bound its length. */
export function textThat(
  passes: (text: string) => boolean,
  wanted: string,
  placeholder = 'TEXT',
): Kind<string> {
  const is = (value: unknown): value is string => typeof value === 'string' && passes(value);
  return kind(wanted, placeholder, is, (text) => text);
}

const MAX_UINT64 = 2n ** 64n - 1n;

/** Where a server listens, or is found. */
export const address: Parser<string> = {
  placeholder: 'HOST:PORT',
  wanted: 'an address such as 127.0.0.1:50061',
  read: (value) => (/^(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}$/.test(value) ? value : undefined),
};

/** An unsigned 64-bit integer as decimal text, since JSON numbers are exact only up to 2^53. */
export const uint64: Kind<string> = {
  wanted: 'an integer from 0 to 2^64 - 1 (written as a string above 2^53)',
  placeholder: 'N',
  read: acceptUint64,
  accept: acceptUint64,
};

function acceptUint64(value: unknown): string | undefined {
  if (typeof value === 'number') return isInteger(value) ? String(value) : undefined;
  const is = typeof value === 'string' && /^\d{1,20}$/.test(value) && BigInt(value) <= MAX_UINT64;
  return is ? value : undefined;
}

/** From `min` to `max` values; as text with commas between them. */
export function list<T>(of: Kind<T>, min: number, max: number): ListKind<T> {
  const mayHave = (length: number): boolean => length >= min && length <= max;
  const all = <From>(values: readonly From[], one: (value: From) => T | undefined): T[] | undefined => {
    if (!mayHave(values.length)) return undefined;
    const found = values.map(one).filter((value) => value !== undefined);
    return found.length === values.length ? found : undefined;
  };
  return {
    wanted: `a list of ${min} to ${max} values`,
    placeholder: `${of.placeholder},...`,
    of,
    mayHave,
    accept: (value) => (Array.isArray(value) ? all(value, of.accept) : undefined),
    read: (text) => all(text === '' ? [] : text.split(','), of.read),
  };
}

function parseNumber(text: string): number | undefined {
  return text.trim() === '' ? undefined : Number(text);
}
