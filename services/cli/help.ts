/** Help texts, made from what the commands declare. */

import { helpSection, type HelpRow } from '../../shared/settings/index.js';
import { COMMON_OPTIONS, type Command, type Group, type Leaf } from './command.js';
import type { Option, Options } from './options.js';
import { flagOf } from './parse-arguments.js';

/** The help of a command or a group. @param words The words that lead to it, such as `ip-diffusion jobs`. */
export function helpOf(target: Command, words: string): string {
  return 'commands' in target ? groupHelp(target, words) : leafHelp(target, words);
}

function groupHelp(group: Group, words: string): string {
  const rows = group.commands.map(({ name, summary }): HelpRow => [name, summary]);
  const otherwise = group.otherwise;
  const own = { ...group.options, ...(otherwise && ownOptions(otherwise.options)) };
  return paragraphs(
    `Usage: npx ${words} ${[...placesOf(otherwise), '[command]'].join(' | ')} [options]\n\n${sentence(group.summary)}`,
    helpSection('Commands', rows),
    otherwise && `Without a command: ${otherwise.summary}.`,
    helpSection('Options', optionRows({ ...own, ...COMMON_OPTIONS })),
    ...(otherwise?.notes ?? []),
    otherwise && examples(otherwise, words),
    `npx ${words} <command> --help shows the options of a command.`,
  );
}

function leafHelp(leaf: Leaf, words: string): string {
  return paragraphs(
    `Usage: npx ${[words, ...placesOf(leaf)].join(' ')} [options]\n\n${sentence(leaf.summary)}`,
    helpSection(
      'Arguments',
      leaf.positionals.map(({ name, help }): HelpRow => [name, help]),
    ),
    helpSection('Options', optionRows({ ...ownOptions(leaf.options), ...COMMON_OPTIONS })),
    ...leaf.notes,
    examples(leaf, words),
  );
}

function placesOf(leaf: Leaf | undefined): string[] {
  return (leaf?.positionals ?? []).map(({ name, optional }) => (optional ? `[${name}]` : `<${name}>`));
}

function optionRows(options: Options): HelpRow[] {
  return Object.entries(options).map(([key, option]): HelpRow => {
    const value = option.kind === undefined ? '' : ` ${option.kind.placeholder}`;
    return [flagOf(key) + value, option.help + defaultOf(option)];
  });
}

function defaultOf({ fallback, environment }: Option<unknown>): string {
  const parts = [
    ...(Array.isArray(fallback) && fallback.length > 0 ? [`default ${fallback.join(', ')}`] : []),
    ...(typeof fallback === 'string' || typeof fallback === 'number' || typeof fallback === 'bigint'
      ? [`default ${fallback.toString()}`]
      : []),
    ...(environment === undefined ? [] : [`or ${environment}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

function ownOptions(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !Object.hasOwn(COMMON_OPTIONS, key)));
}

function examples({ examples: given }: Leaf, words: string): string {
  const lines = given.map(({ arguments: args, does }) => `  # ${does}\n  npx ${`${words} ${args}`.trim()}`);
  return ['Examples:', ...lines].join('\n');
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function paragraphs(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined).join('\n\n');
}
