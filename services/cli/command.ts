/** What a command declares, so that parsing and help come from one table. */

import type { Clock } from '../../shared/foundation/index.js';
import type { CliSettings } from './config.js';
import { flag, type Options, type Values } from './options.js';
import { parseArguments, type Positional } from './parse-arguments.js';
import type { Terminal } from './terminal.js';

/** 0 done, 1 failed; usage errors (2) and interruptions (130) are thrown. */
export type ExitCode = number;

export interface Example {
  readonly arguments: string;
  readonly does: string;
}

export interface Context {
  readonly terminal: Terminal;
  readonly settings: CliSettings;
  readonly clock: Clock;
  /** Aborted by Ctrl-C, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
}

interface Described {
  readonly name: string;
  /** A short sentence without a full stop. */
  readonly summary: string;
}

export interface Leaf extends Described {
  readonly positionals: readonly Positional[];
  readonly options: Options;
  readonly examples: readonly Example[];
  /** Paragraphs shown below the options. */
  readonly notes: readonly string[];
  /** @throws UsageError for arguments that don't fit. */
  run(argv: readonly string[], usage: string, context: Context): Promise<ExitCode>;
}

/** A word with commands under it. */
export interface Group extends Described {
  readonly commands: readonly Command[];
  /** Runs where no command of the group is named. */
  readonly otherwise?: Leaf;
  /** Further options to show in its help. */
  readonly options?: Options;
}

export type Command = Leaf | Group;

export const COMMON_OPTIONS = {
  json: flag('print JSON (one line for each event) instead of text'),
  debug: flag('show the stack of an error'),
  help: flag('show this help'),
};

export interface Invocation<O extends Options> {
  readonly options: Values<O>;
  /** As many as are declared; an optional one that is missing is ''. */
  readonly positionals: readonly string[];
}

/** Declares a command. */
export function command<O extends Options>(
  declared: Described & {
    readonly positionals?: readonly Positional[];
    readonly options: O;
    readonly examples: readonly Example[];
    readonly notes?: readonly string[];
    run(invocation: Invocation<O>, context: Context): Promise<ExitCode>;
  },
): Leaf {
  const { positionals = [], notes = [] } = declared;
  const options = { ...declared.options, ...COMMON_OPTIONS };
  return {
    ...declared,
    positionals,
    notes,
    options,
    run: (argv, usage, context) => {
      const parsed = parseArguments(argv, {
        options,
        positionals,
        usage,
        environment: context.settings.environment,
      });
      return declared.run(parsed as Invocation<O>, context);
    },
  };
}
