/** Command-line words -> values, or an error that says in one line what is wrong. */

import { parseArgs } from 'node:util';

import { describeValue, type Parser } from '../../shared/foundation/index.js';
import { nearest } from '../../shared/foundation/index.js';
import type { Options } from './options.js';

/** The arguments don't fit the command; exit code 2. */
export class UsageError extends Error {
  /** The command whose help is named in the hint, such as `ip-diffusion train`. */
  readonly usage: string;

  constructor(message: string, usage: string) {
    super(message);
    this.name = 'UsageError';
    this.usage = usage;
  }
}

export interface Positional {
  readonly name: string;
  readonly help: string;
  readonly optional?: true;
}

export interface Grammar {
  readonly options: Options;
  readonly positionals: readonly Positional[];
  /** The command's words. */
  readonly usage: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

interface Parsed {
  readonly options: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

/** The name of an option as it is typed: `imageSize` -> `--image-size`. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** @throws UsageError that names the first argument that doesn't fit. */
export function parseArguments(argv: readonly string[], grammar: Grammar): Parsed {
  const { options, usage } = grammar;
  const byFlag = new Map(Object.entries(options).map(([key, option]) => [flagOf(key), { key, option }]));
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      [...byFlag].map(([name, { option }]) => [name.slice(2), { type: option.kind ? 'string' : 'boolean' }]),
    ),
  });
  const values = new Map<string, unknown>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const found = byFlag.get(token.rawName);
    if (found === undefined) throw unknownOption(token.rawName, [...byFlag.keys()], usage);
    const { kind, repeats } = found.option;
    if (kind === undefined) {
      if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`, usage);
      values.set(found.key, true);
    } else if (token.value === undefined || (!token.inlineValue && token.value.startsWith('--'))) {
      throw new UsageError(`${token.rawName} needs a value: ${kind.wanted}`, usage);
    } else {
      const value = readValue(kind, token.value, token.rawName, usage);
      const before = (values.get(found.key) ?? []) as readonly unknown[];
      values.set(found.key, repeats ? [...before, value] : value);
    }
  }
  return {
    options: Object.fromEntries(Object.keys(options).map((key) => [key, valueOf(key, values, grammar)])),
    positionals: checkPositionals(positionals, grammar),
  };
}

function valueOf(
  key: string,
  given: ReadonlyMap<string, unknown>,
  { options, environment, usage }: Grammar,
): unknown {
  if (given.has(key)) return given.get(key);
  const option = options[key];
  const variable = option?.environment;
  const text = variable === undefined ? undefined : environment[variable];
  // An empty variable is the same as an unset one.
  if (variable === undefined || !text || !option?.kind) return option?.fallback;
  const { kind, repeats } = option;
  if (repeats) return text.split(',').map((each) => readValue(kind, each.trim(), variable, usage));
  return readValue(kind, text, variable, usage);
}

function readValue(kind: Parser<unknown>, text: string, name: string, usage: string): unknown {
  const value = kind.read(text);
  if (value === undefined)
    throw new UsageError(`${name}: wanted ${kind.wanted}; got ${describeValue(text)}`, usage);
  return value;
}

function unknownOption(name: string, known: readonly string[], usage: string): UsageError {
  const meant = nearest(name, known);
  return new UsageError(
    `unknown option ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    usage,
  );
}

function checkPositionals(given: readonly string[], { positionals, usage }: Grammar): string[] {
  const excess = given[positionals.length];
  if (excess !== undefined) throw new UsageError(`unexpected argument ${describeValue(excess)}`, usage);
  return positionals.map(({ name, help, optional }, index) => {
    const value = given[index];
    if (value === undefined && !optional) throw new UsageError(`missing ${name}: ${help}`, usage);
    return value ?? '';
  });
}
