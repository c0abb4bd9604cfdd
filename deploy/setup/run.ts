/** Runs the programs that set-up needs; a failure becomes one error that carries their output. */
import { spawn } from 'node:child_process';

import type { SetupContext } from './context.js';
import { SetupProblem } from './problem.js';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What the program is run for, and what to do when it fails; both are in the error. */
  readonly task: string;
  readonly remedy: string;
  /** True lets the program write to the terminal itself (a progress bar); its output is then not captured. */
  readonly shown?: boolean;
}

/**
 * Runs a program to its end and returns what it printed on stdout.
 *
 * @throws SetupProblem with the end of its output, where it fails or does not exist.
 */
export async function run(
  { root, signal }: Pick<SetupContext, 'root' | 'signal'>,
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<string> {
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: options.env ?? process.env,
    signal,
    stdio: options.shown ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let all = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    all += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    all += text;
  });
  const ended = await new Promise<string | undefined>((settle) => {
    child.on('error', (error) => {
      settle(error.message);
    });
    child.on('close', (code, killedBy) => {
      settle(code === 0 ? undefined : killedBy ? `ended by ${killedBy}` : `exit code ${String(code)}`);
    });
  });
  signal.throwIfAborted();
  if (ended === undefined) return stdout;
  const output = all.trimEnd().slice(-8000);
  throw new SetupProblem(
    `${output}${output ? '\n' : ''}${options.task} failed (${command}: ${ended})`,
    options.remedy,
  );
}

/** The first of the commands that answers to the given arguments, or undefined where none does. */
export async function firstWorking(
  context: Pick<SetupContext, 'root' | 'signal'>,
  commands: readonly string[],
  args: readonly string[],
): Promise<string | undefined> {
  for (const command of commands) {
    try {
      await run(context, command, args, { task: 'looking for it', remedy: '' });
      return command;
    } catch (error) {
      if (!(error instanceof SetupProblem)) throw error;
    }
  }
  return undefined;
}
