/** The table of commands, and the search for the command that the words name. */

import { packageFile, systemClock, type Clock } from '../../shared/foundation/index.js';
import type { Command, Context, Group, Leaf } from './command.js';
import { batch } from './commands/batch.js';
import { demo } from './commands/demo.js';
import { doctor } from './commands/doctor.js';
import { encode } from './commands/encode.js';
import { exportModel } from './commands/export.js';
import { health } from './commands/health.js';
import { info } from './commands/info.js';
import { importCheckpoint } from './commands/import.js';
import { jobs } from './commands/jobs.js';
import { measure } from './commands/measure.js';
import { models } from './commands/models.js';
import { pipeline } from './commands/pipeline.js';
import { sample } from './commands/sample.js';
import { serve } from './commands/serve.js';
import { train } from './commands/train.js';
import { watch } from './commands/watch.js';
import type { CliSettings } from './config.js';
import { reportFailure } from './failure.js';
import { helpOf } from './help.js';
import { nearest } from '../../shared/foundation/index.js';
import { flag } from './options.js';
import { UsageError } from './parse-arguments.js';
import type { Sink } from './sink.js';
import { createTerminal } from './terminal.js';

const PROGRAM = 'ip-diffusion';

export const program: Group = {
  name: PROGRAM,
  summary: 'trains diffusion models with input perturbation and samples images from them',
  commands: [
    demo,
    serve,
    train,
    watch,
    jobs,
    models,
    sample,
    batch,
    pipeline,
    encode,
    measure,
    importCheckpoint,
    exportModel,
    health,
    info,
    doctor,
  ],
  options: { version: flag('show the version') },
};

export interface Surroundings {
  readonly out: Sink;
  readonly err: Sink;
  readonly settings: CliSettings;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** Runs a command line and returns the exit code: 0 done, 1 failed, 2 usage, 130 interrupted. Never rejects. */
export async function runProgram(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  const { settings, signal, clock = systemClock } = surroundings;
  const ownWords = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
  const json = ownWords.includes('--json');
  const terminal = createTerminal({ ...surroundings, json, colours: settings.colours, clock });
  const context: Context = { terminal, settings, clock, signal };
  try {
    if (argv[0] === '--version') {
      const { version } = packageFile();
      surroundings.out.write(`${json ? JSON.stringify({ version }) : version}\n`);
      return 0;
    }
    const { target, words, rest } = find(program, [PROGRAM], argv);
    const runs = 'commands' in target ? target.otherwise : target;
    if (ownWords.includes('--help') || ownWords.includes('-h') || runs === undefined) {
      surroundings.out.write(`${helpOf(target, words)}\n`);
      return 0;
    }
    return await runs.run(rest, words, context);
  } catch (error) {
    return reportFailure(error, terminal, {
      debug: ownWords.includes('--debug'),
      interrupted: signal.aborted,
    });
  }
}

interface Found {
  readonly target: Leaf | Group;
  readonly words: string;
  readonly rest: readonly string[];
}

function find(target: Command, words: readonly string[], argv: readonly string[]): Found {
  const [word] = argv;
  const named = { target, words: words.join(' '), rest: argv };
  if (!('commands' in target) || word === undefined || word.startsWith('-')) return named;
  const next = target.commands.find(({ name }) => name === word);
  if (next !== undefined) return find(next, [...words, word], argv.slice(1));
  // The argument of the command that runs without a name.
  if (target.otherwise !== undefined && target.otherwise.positionals.length > 0) return named;
  const names = target.commands.map(({ name }) => name);
  const meant = nearest(word, names);
  const hint = meant === undefined ? `wanted one of ${names.join(', ')}` : `did you mean ${meant}?`;
  throw new UsageError(`unknown command ${word}; ${hint}`, named.words);
}
